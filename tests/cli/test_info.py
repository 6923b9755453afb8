import pytest

import pcclust
from pcclust.cli.main import main


def test_info_prints_versions_backends_reasons_and_readers(capsys):
    with pytest.raises(SystemExit) as stopped:
        main(["info"])
    assert stopped.value.code == 0
    text = " ".join(capsys.readouterr().out.split())
    facts = pcclust.info()
    assert f"torch {facts.versions['torch']}" in text
    for operator in facts.operators:
        assert f"{operator.name} {operator.cpu} {operator.cuda}" in text
        assert all(reason in text for reason in operator.reasons)
    assert "LAS, LAZ" in text
