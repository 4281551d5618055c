"""The public sample files beside the repository, and contacts like theirs where those are not."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass
from pathlib import Path

import pytest

__all__ = ["Customers", "bank", "customers"]

_DATA = Path(__file__).parents[3] / "shared" / "data"
_COUNTRIES = ("Andorra", "Belize", "Congo", "Denmark", "Korea", "Mali", "Norway", "Peru", "Togo", "Zambia")


@dataclass(frozen=True)
class Customers:
    """A CSV file with the columns of customers-10000.csv, and what it says."""

    text: bytes
    rows: list[dict[str, str]]

    def of(self, *countries: str) -> dict[str, str]:
        """Who is there: e-mail address → first and last name."""
        return {
            row["Email"]: f"{row['First Name']} {row['Last Name']}"
            for row in self.rows
            if row["Country"] in countries
        }

    def first_countries(self, share: float) -> list[str]:
        """So many countries, by the alphabet, that about this share of all customers is in them."""
        chosen: list[str] = []
        for country in sorted({row["Country"] for row in self.rows}):
            if len(self.of(*chosen)) >= share * len(self.rows):
                break
            chosen.append(country)
        return chosen


def customers() -> Customers:
    """customers-10000.csv; where that is not, 2,000 made up with the same columns."""
    path = _DATA / "customers-10000.csv"
    text = path.read_bytes() if path.exists() else _made_up(2_000)
    return Customers(text, list(csv.DictReader(io.StringIO(text.decode()))))


def _made_up(size: int) -> bytes:
    file = io.StringIO()
    writer = csv.writer(file)
    writer.writerow(("Index", "Customer Id", "First Name", "Last Name", "Country", "Email"))
    for number in range(1, size + 1):
        country = _COUNTRIES[number % len(_COUNTRIES)]
        name = (f"First{number}", f"Last{number}")
        writer.writerow((number, f"C{number:06}", *name, country, f"c{number}@d{number % 40}.example"))
    return file.getvalue().encode()


def bank() -> bytes:
    """bank-full.csv; the test is skipped by the file's name where that is not."""
    path = _DATA / "bank-full.csv"
    if not path.exists():
        pytest.skip("bank-full.csv is not in shared/data beside the repository")
    return path.read_bytes()
