"""``pcclust push``: weights to the Hugging Face Hub."""

from dataclasses import dataclass
from typing import Annotated

from tyro.conf import Positional, arg

from pcclust.cli.console import ExitCode, output
from pcclust.nn.weights_push import push_weights


@dataclass(frozen=True, kw_only=True)
class Push:
    """Puts the weights of a run and their card on the Hugging Face Hub, in one commit.

    Then pcclust.load("hf://OWNER/NAME") loads them anywhere. They are checked before anything is
    sent. The card goes along as it is, with the settings of the run, such as paths. Log in before
    by: hf auth login.

    Attributes:
        what: the folder of a run, a .safetensors file with its card, or a name of weights that come
            with pcclust.
        address: hf://OWNER/NAME, with @BRANCH if it is not to be main; it is made where it is not
            there.
        private: a repository that is made is open to its owner alone.
        message: of the commit.
    """

    what: Annotated[str, Positional, arg(metavar="RUN")]
    address: Annotated[str, Positional, arg(metavar="hf://OWNER/NAME")]
    private: bool = False
    message: str = ""

    def run(self) -> int:
        """Pushes, and says what is there now."""
        pushed = push_weights(self.what, self.address, private=self.private, message=self.message)
        output.print(f"{self.address}: {', '.join(pushed.files)}; commit {pushed.commit}")
        output.print(pushed.url)
        return ExitCode.DONE
