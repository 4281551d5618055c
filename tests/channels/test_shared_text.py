"""What texts have in common: put together again it is every text, whatever the texts are."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.channels.mail_apis.shared_text import shape_of, share

_PARTS = st.text(alphabet='ab <>"\n&é', max_size=12)


def whole(shared, position):
    values = iter(shared.values[position])
    return shared.pieces[0] + "".join(next(values) + piece for piece in shared.pieces[1:])


@given(st.lists(_PARTS, min_size=1, max_size=8))
def test_every_text_comes_out_as_it_went_in(texts):
    alike = [text for text in texts if shape_of(text) == shape_of(texts[0])]
    shared = share(alike)
    assert alike == [whole(shared, position) for position in range(len(alike))]


@given(
    st.lists(st.tuples(st.sampled_from(["Ada", "Bo", "Grace Hopper", ""]), st.integers(0, 99)), min_size=2)
)
def test_of_one_template_only_what_differs_is_left(people):
    texts = [
        f'<p class="x">Hello {name}!</p>\n<a href="https://x.org/c/{number}">go</a>'
        for name, number in people
    ]
    shared = share(texts)
    assert len(shared.pieces) <= 3
    assert all(
        len("".join(values)) <= len(name) + 2 for values, (name, _) in zip(shared.values, people, strict=True)
    )


def test_texts_that_are_the_same_have_no_places():
    shared = share(["<p>Hello</p>"] * 3)
    assert (("<p>Hello</p>",), ((), (), ())) == shared


def test_places_have_the_names_that_they_are_given():
    assert "Hello $0!" == share(["Hello Ada!", "Hello Bo!"]).with_places(lambda place: f"${place}")


def test_texts_of_other_shapes_are_refused():
    with pytest.raises(ValueError, match=r"shorter|longer"):
        share(["<p>", "<p><b>"])
