from __future__ import annotations

import pytest

from clipft_cli.engine.tables.encodings import marked_encoding, readings

TEXTS = {
    "utf-8": "Hündin,猫,кошка",
    "cp1252": "image;label\na.jpg;Müller\nb.jpg;Größe\n",
    "gb18030": "1.jpg,番茄早疫病\n2.jpg,番茄晚疫病\n3.jpg,健康\n",
    "cp932": "1.jpg,柴犬\n2.jpg,秋田犬\n3.jpg,ネコ\n",
    "big5": "番茄早疫病,健康,蘋果",
    "cp1251": "Кошка\nСобака\nлошадь",
    "mac_roman": "été",
}


@pytest.mark.parametrize("encoding", TEXTS)
def test_a_text_that_reads_in_one_way_is_read_so(encoding: str) -> None:
    found = readings(TEXTS[encoding].encode(encoding))
    assert [(reading.encoding, reading.text) for reading in found] == [(encoding, TEXTS[encoding])]


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-32"])
def test_a_mark_in_front_says_it(encoding: str) -> None:
    found = readings("image,label\n".encode(encoding))
    assert [reading.text for reading in found] == ["image,label\n"]


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
def test_utf_16_without_a_mark_is_known_by_its_zeros(encoding: str) -> None:
    assert marked_encoding("image,label\n".encode(encoding)) == encoding


@pytest.mark.parametrize(("encoding", "text"), [("cp949", "고양이\n강아지"), ("cp1250", "Kůň,Kočka"), ("cp932", "猫")])
def test_a_text_that_reads_in_several_ways_gives_them_all(encoding: str, text: str) -> None:
    found = {reading.encoding: reading.text for reading in readings(text.encode(encoding))}
    assert len(found) > 1
    assert found[encoding] == text


def test_readings_that_say_the_same_are_one() -> None:
    assert len(readings("Hündin,Größe,Bär".encode("cp1252"))) == 1  # cp1250 reads it alike


@pytest.mark.parametrize(
    ("encoding", "names"),
    [("gb18030", "猫\n狗\n兔子"), ("cp866", "Кошка\nСобака"), ("cp437", "Hündin\néléphant"), ("cp850", "Ângela")],
)
def test_names_in_a_zip_are_read_in_the_code_pages_of_consoles(encoding: str, names: str) -> None:
    found = readings(names.encode(encoding), of_names=True)
    assert [reading.text for reading in found] == [names]


def test_bytes_that_are_no_text_have_no_reading() -> None:
    assert readings(bytes(range(0x80, 0x100)) * 4) == []
