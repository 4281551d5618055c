"""Example contacts: invented people at domains reserved for examples (RFC 2606): nobody is written to.

The same rows whenever and wherever they are made. Written out as CSV, because that is what people bring.
"""

from __future__ import annotations

import csv
from datetime import date, timedelta
from random import Random
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

__all__ = ["COLUMNS", "contacts", "write_contacts"]

COLUMNS = (
    "customer_id",
    "first_name",
    "last_name",
    "email",
    "phone",
    "company",
    "city",
    "country",
    "language",
    "customer_since",
    "orders",
    "newsletter",
)


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


_FIRST = _words("""
    Ada Alma Amir Ana Anton Aiko Ben Bo Carla Chidi Clara Dana Diego Edith Elif Emil Enzo Eva Farid Finn
    Freya Goran Greta Hana Hugo Ida Ines Ivan Jana Jonas Juna Kaya Kemal Lars Lea Liam Lina Luca Maja
    Malik Mara Mateo Mei Mila Mina Nadia Nils Nora Noor Olga Omar Otto Paula Pavel Petra Priya Quinn
    Rafael Rana Rosa Sami Sara Selma Sofia Sven Tara Theo Tomas Uma Vera Viktor Wanda Wim Xenia Yara
    Yusuf Zara Zoe Søren Björn Zoë Łucja
""")
_LAST = _words("""
    Adeyemi Alvarez Andersen Bakker Bauer Bergström Bianchi Brandt Castillo Chen Costa Dahl Demir Dubois
    Eriksen Evans Farkas Fischer Fontaine Garcia Gruber Haddad Hansen Horvat Ibrahim Ito Ivanova Jansen
    Johansson Kaya Keller Kim Kowalska Kumar Larsen Lehmann Lindqvist Lopez Marin Martens Meyer Moreau
    Nagy Nielsen Nowak Okafor Olsen O'Brien Papadakis Patel Peeters Petrov Quist Ribeiro Romano Rossi
    Sahin Santos Schmidt Silva Smit Svensson Takahashi Tamm Urban Vargas Vogel Wagner Weber Winkler
    Yilmaz Zhang Zimmermann
""")
_COMPANY = _words("""
    Aurora Birch Cobalt Delta Ember Fjord Granite Harbour Indigo Juniper Kestrel Lumen Meridian Nova
""")
_TRADE = ("Energy", "Foods", "Logistics", "Media", "Optics", "& Sons", "Studio, Ltd.", 'Works "North"')
_PLACES = (
    ("Oslo", "Norway", "nb"),
    ("Bergen", "Norway", "nb"),
    ("Stockholm", "Sweden", "sv"),
    ("Aarhus", "Denmark", "da"),
    ("Berlin", "Germany", "de"),
    ("Köln", "Germany", "de"),
    ("Wien", "Austria", "de"),
    ("Zürich", "Switzerland", "de"),
    ("Lyon", "France", "fr"),
    ("Utrecht", "Netherlands", "nl"),
    ("Bologna", "Italy", "it"),
    ("Sevilla", "Spain", "es"),
    ("Porto", "Portugal", "pt"),
    ("Kraków", "Poland", "pl"),
    ("Dublin", "Ireland", "en"),
    ("Leeds", "United Kingdom", "en"),
)
_DOMAINS = ("example.com", "example.net", "example.org", "mail.example.com", "post.example.org")
_SINCE = date(2015, 1, 1)
_DAYS = 4000


def contacts(rows: int = 10_000, *, seed: int = 1) -> Iterator[tuple[str, ...]]:
    """`rows` contacts, in the order of `COLUMNS`; one in 250 has no address, one in 20 no newsletter."""
    # Only random(): its sequence is the same in every version of Python, that of choice() is not.
    random = Random(seed)  # noqa: S311 - no secret

    def one(of: Sequence[str]) -> str:
        return of[int(random.random() * len(of))]

    for number in range(1, rows + 1):
        first, last = one(_FIRST), one(_LAST)
        city, country, language = _PLACES[int(random.random() * len(_PLACES))]
        address = f"c{number:05}@{one(_DOMAINS)}" if random.random() >= 1 / 250 else ""
        yield (
            f"C-{number:05}",
            first,
            last,
            address,
            f"+00 {int(random.random() * 900) + 100} {int(random.random() * 9000) + 1000}",
            f"{one(_COMPANY)} {one(_TRADE)}",
            city,
            country,
            language,
            (_SINCE + timedelta(days=int(random.random() * _DAYS))).isoformat(),
            str(int(random.random() ** 3 * 60)),
            "no" if random.random() < 1 / 20 else "yes",
        )


def write_contacts(path: Path, rows: int = 10_000) -> None:
    """Write `rows` contacts as CSV (UTF-8, with a header)."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        writer.writerows(contacts(rows))
