"""What may be tried of a parameter: distributions of a sweep file of Weights & Biases, drawn by Optuna."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, cast

from vidfer.types import UsageError

if TYPE_CHECKING:
    import optuna

Value = str | bool | int | float

GRID_POINTS: Final = 5
"""Values of a range that a grid tries, its ends among them."""

_RANGES: Final = {
    "int_uniform": (False, False), "uniform": (False, False), "q_uniform": (False, True),
    "log_uniform": (True, False), "log_uniform_values": (True, False), "q_log_uniform_values": (True, True),
}  # fmt: skip
"""Whether a distribution is uniform in the logarithm, and whether its values are multiples of `q`."""

_KNOWN: Final = ("constant", "categorical", *_RANGES)
_KEYS: Final = ("distribution", "value", "values", "min", "max", "q")


@dataclass(frozen=True)
class Parameter:
    """A parameter of a sweep: one of `choices`, or a number from `low` to `high`.

    Args:
        name: As in a pipeline's file, such as `classify.model.lr`.
        choices: Values to choose from; one of a constant, none of a range.
        low: The range's lower end.
        high: Its upper end, which may be drawn, too.
        log: Uniform in the logarithm.
        whole: Whole numbers only.
        step: Drawn values are rounded to multiples of it, as `q_uniform` of Weights & Biases does; None: not at all.
    """

    name: str
    choices: tuple[Value, ...] = ()
    low: float = 0.0
    high: float = 0.0
    log: bool = False
    whole: bool = False
    step: float | None = None

    @property
    def fixed(self) -> bool:
        """Whether every trial has the same value."""
        return len(self.choices) == 1 or (not self.choices and self.low == self.high)

    def draw(self, trial: "optuna.Trial") -> Value:
        """Return the value that Optuna chooses; of a trial that has one already, that one."""
        if self.choices:
            return cast("Value", trial.suggest_categorical(self.name, self.choices))
        if self.whole:
            return int(trial.suggest_int(self.name, int(self.low), int(self.high)))
        return self.rounded(float(trial.suggest_float(self.name, self.low, self.high, log=self.log)))

    def rounded(self, value: float) -> float:
        """Return what a trial is run with: the multiple of `step` that is nearest to a value, or the value with six digits."""
        return float(f"{value:.6g}" if self.step is None else f"{round(value / self.step) * self.step:.12g}")

    def grid(self) -> tuple[Value, ...]:
        """Return the values that a grid tries: all choices, or `GRID_POINTS` evenly over the range or its logarithm."""
        if self.choices:
            return self.choices
        shares = [at / (GRID_POINTS - 1) for at in range(GRID_POINTS)]
        if self.log:
            spaced = [self.low * (self.high / self.low) ** share for share in shares]
        else:
            spaced = [self.low + (self.high - self.low) * share for share in shares]
        if self.whole:
            return tuple(dict.fromkeys(round(value) for value in spaced))
        return tuple(dict.fromkeys(self.rounded(value) for value in spaced))


def read_parameter(path: Path, name: str, given: Any) -> Parameter:  # noqa: ANN401 - any YAML
    """Read a parameter of a sweep file by the rules of Weights & Biases.

    Raises:
        UsageError: It is of no distribution that can be drawn here, or its values cannot be.
    """
    where = f"{path}: parameters.{name}"
    if not isinstance(given, Mapping):
        raise UsageError(f"{where} has to have value, values, or min and max, not {given!r}")
    kind = given["distribution"] if "distribution" in given else _implied(where, given)
    if kind not in _KNOWN:
        raise UsageError(f"{where} has the distribution '{kind}', which is none of {', '.join(_KNOWN)}")
    unknown = sorted(set(map(str, given)) - set(_KEYS))
    if unknown:
        raise UsageError(f"{where} has an unknown entry {unknown[0]}: known are {', '.join(_KEYS)}")
    if kind in ("constant", "categorical"):
        values = [given.get("value")] if kind == "constant" else given.get("values")
        if not isinstance(values, list) or not values:
            raise UsageError(f"{where} is {kind} and has no {'value' if kind == 'constant' else 'values'}")
        return Parameter(name, tuple(_choice(where, each) for each in values))
    return _range(where, name, kind, given)


def _implied(where: str, given: Mapping[str, Any]) -> str:
    """Return the distribution of a parameter that names none."""
    if "value" in given or "values" in given:
        return "constant" if "value" in given else "categorical"
    if "min" not in given or "max" not in given:
        raise UsageError(f"{where} has neither value nor values, nor min and max")
    kinds = {type(_number(where, given, each)) for each in ("min", "max")}
    if len(kinds) > 1:
        raise UsageError(f"{where}: min and max have to be both whole numbers or both with a point, as in 1.0")
    return "int_uniform" if kinds == {int} else "uniform"


def _range(where: str, name: str, kind: str, given: Mapping[str, Any]) -> Parameter:
    log, rounds = _RANGES[kind]
    low, high = (_number(where, given, each) for each in ("min", "max"))
    if kind == "log_uniform":  # its ends are exponents of e
        low, high = math.exp(low), math.exp(high)
    if low > high or (log and low <= 0):
        least = " and above 0" if log and low <= 0 else ""
        raise UsageError(f"{where}: min has to be at most max{least}, not {given['min']} and {given['max']}")
    whole = kind == "int_uniform"
    if whole and not (isinstance(low, int) and isinstance(high, int)):
        raise UsageError(f"{where}: min and max have to be whole numbers for {kind}")
    step = _number(where, {"q": 1, **given}, "q") if rounds else None
    if step is not None and step <= 0:
        raise UsageError(f"{where}: q has to be above 0, not {step}")
    return Parameter(name, (), low, high, log, whole, step)


def _number(where: str, given: Mapping[str, Any], name: str) -> int | float:
    value = given.get(name)
    if isinstance(value, str):
        raise UsageError(f"{where}: {name} is '{value}', which YAML reads as text: write a number such as 1.0e-3")
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise UsageError(f"{where}: {name} has to be a number, not {value!r}")
    return value


def _choice(where: str, value: Any) -> Value:  # noqa: ANN401 - any YAML
    if isinstance(value, str | bool | int | float):
        return value
    shown = "null" if value is None else str(value)
    raise UsageError(f"{where} may be {shown}, which the agent would write otherwise: put it in quotes, '{shown}'")
