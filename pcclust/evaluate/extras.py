"""Optional libraries of evaluations."""


def require_scikit_learn(what: str) -> None:
    """Says which extra is missing, before much time is spent.

    Args:
        what: needs it.

    Raises:
        ImportError: scikit-learn is not installed.
    """
    try:
        import sklearn  # noqa: F401 (whether it is there)
    except ImportError as error:
        raise ImportError(f"{what} needs scikit-learn: pip install 'pcclust[train]'") from error
