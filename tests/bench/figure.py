"""One measured value beside its budget, and the line that shows it."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Figure:
    """One measured value against its budget; no budget: for information."""

    name: str
    value: float
    unit: str
    budget: float | None
    ok: bool

    @classmethod
    def at_most(cls, name: str, value: float, unit: str, budget: float | None = None) -> "Figure":
        """A figure that must not be larger than its budget."""
        return cls(name, round(value, 4), unit, budget, budget is None or value <= budget)

    @classmethod
    def at_least(cls, name: str, value: float, unit: str, budget: float) -> "Figure":
        """A figure that must not be smaller than its budget."""
        return cls(name, round(value, 4), unit, budget, value >= budget)

    def line(self) -> str:
        """Write one line of the table."""
        budget = "" if self.budget is None else f"budget {self.budget:g}"
        mark = " " if self.budget is None else "✓" if self.ok else "✗"
        return f"{mark} {self.name:44} {self.value:>12,.3f} {self.unit:6} {budget}"
