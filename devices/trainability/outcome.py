"""An obstacle in words."""

from dataclasses import dataclass

from devices.errors import InputError


@dataclass(frozen=True)
class Obstacle:
    """Why a step cannot run: a clause for notes, and the parts of a complaint."""

    reason: str
    subject: str
    got: str
    wanted: str
    do: str

    @property
    def error(self) -> InputError:
        """The complaint."""
        return InputError(self.subject, got=self.got, wanted=self.wanted, do=self.do)
