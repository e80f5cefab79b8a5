"""What follows from a comparison, in words a person can act on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ...config.methods import BASELINES
from ..files.amounts import UNKNOWN, duration, energy, gib, size
from ..files.visible import visible
from ..metrics.intervals import Interval
from .comparison import Pair, Row, ranked_rows, turned
from .enough import MAX_WIDTH, TooFew, too_few


def verdict(rows: Sequence[Row], pairs: Sequence[Pair], correction: str) -> tuple[str, ...]:
    """What wins, by how much, how sure, at what cost; or that nothing is shown, and how many images it would take."""
    best, *others = ranked_rows(rows)
    against = {row.label: _between(best.label, row.label, pairs) for row in others}
    beaten = [row for row in others if against[row.label].is_shown]
    equal = [row for row in others if not against[row.label].is_shown]
    cheaper = [row for row in equal if _price(row) < _price(best)]
    choice = recommended(rows, pairs)
    lines = _headlines(best, choice, against, equal, cheaper)
    lines += pair_sentences(rows, pairs, correction)
    if choice is best and (beaten or cheaper):
        lines.append(_cost_sentence(best, ranked_rows(beaten or cheaper)[0]))
    elif choice is not None and choice is not best:
        lines.append(_cost_sentence(choice, best))
    return (*lines, *_fallen_back(rows), *_retained(rows))


def pair_sentences(rows: Sequence[Row], pairs: Sequence[Pair], correction: str) -> list[str]:
    """The best against each other row, and the best with adapters against the best without."""
    best, *others = ranked_rows(rows)
    couples = [(best, other) for other in others]
    both = tuned_both_ways(rows)
    if both is not None and best not in both:
        couples.append(both)
    n = best.hits.shape[1]
    return [_sentence(a, b, _between(a.label, b.label, pairs), correction, n) for a, b in couples]


def _headlines(
    best: Row, choice: Row | None, against: Mapping[str, Pair], equal: list[Row], cheaper: list[Row]
) -> list[str]:
    """What to use, or that these images cannot tell."""
    n = best.hits.shape[1]
    few = too_few([row.top1 for row in (best, *equal)], n)
    if few is not None:
        return [_headline_of_too_few(few, [against[row.label] for row in equal]), _most_right(best, equal)]
    if choice is None or choice is best:
        return [_headline(best, [label for label, pair in against.items() if pair.is_shown], equal, cheaper, n)]
    return [_headline_of_the_cheapest(choice, best, against[choice.label], n)]


def tuned_both_ways(rows: Sequence[Row]) -> tuple[Row, Row] | None:
    """The best with adapters and the best without, of those that train by epochs, the better first; None without both.

    Which of these two it should be is asked of every comparison, whatever else was best.
    """
    tuned = [row for row in ranked_rows(rows) if row.contract.trains_by_epochs]
    first = next((row for row in tuned), None)
    second = next((row for row in tuned if row.contract.has_adapters != tuned[0].contract.has_adapters), None)
    return (first, second) if first is not None and second is not None else None


def recommended(rows: Sequence[Row], pairs: Sequence[Pair]) -> Row | None:
    """The cheapest of those that may be as good as the best: advice needs less than a claim, the interval decides.

    None where the images are too few to tell.
    """
    best, *others = ranked_rows(rows)
    equal = [row for row in others if not _between(best.label, row.label, pairs).is_shown]
    if too_few([row.top1 for row in (best, *equal)], best.hits.shape[1]) is not None:
        return None
    as_good = [row for row in others if _between(best.label, row.label, pairs).difference.low <= 0]
    return min([best, *as_good], key=_price)


def differing_bases(rows: Sequence[Row]) -> list[str]:
    """A sentence where the rows started from several pretrained models, with each of them."""
    started: dict[str | None, list[Row]] = {}
    for row in rows:
        started.setdefault(row.runs[0].weights_digest, []).append(row)
    if len(started) == 1:
        return []
    each = "; ".join(f"{visible(some[0].model)} ({_names(some)})" for some in started.values())
    return [f"the runs started from different pretrained models, methods are not all that differs: {each}"]


def shown(row: Row) -> str:
    """The row's label, safe to print."""
    return visible(row.label)


def points(interval: Interval) -> str:
    """A difference as `+5.3 points (95% interval +1.2 to +9.4)`."""
    return f"{100 * interval.value:+.1f} points (95% interval {100 * interval.low:+.1f} to {100 * interval.high:+.1f})"


def p_text(p: float) -> str:
    """`p = 0.012`; tiny ones as a bound."""
    return "p < 0.0001" if p < 1e-4 else f"p = {p:.2g}" if p < 0.995 else "p = 1"


def _headline(best: Row, beaten: Sequence[str], equal: list[Row], cheaper: list[Row], n: int) -> str:
    told = f"Use {shown(best)}: {best.top1.value:.1%} top-1 on {_images(n)}"
    if not equal:
        return f"{told}, shown better than {_listed([visible(label) for label in beaten])}."
    told += f". No difference is shown to {_names(equal)}"
    if not cheaper:
        return f"{told}, but none of them costs less."
    return f"{told}; {_names(cheaper)} would cost less, but by the interval alone would be worse."


def _headline_of_the_cheapest(choice: Row, best: Row, pair: Pair, n: int) -> str:
    return (
        f"Use {shown(choice)}: no difference shown at this n ({_images(n)}) between it ({choice.top1.value:.1%} top-1)"
        f" and the best, {shown(best)} ({best.top1.value:.1%}), and it is the cheapest of those;"
        f" it may be up to {100 * pair.difference.high:.1f} points worse."
    )


def _headline_of_too_few(few: TooFew, undecided: Sequence[Pair]) -> str:
    which = f"These {_images(few.n_images)}" if few.n_images > 1 else "One image"
    told = (
        f"{which} cannot tell which to use: an accuracy is known to {100 * few.width:.0f} points"
        f" only. About {rounded(few.n_needed)} would bring that to {100 * MAX_WIDTH:.0f} points"
    )
    needed = [pair.images_needed for pair in undecided if pair.images_needed is not None]
    if needed and max(needed) > few.n_needed:
        told += f", and about {rounded(max(needed)):,} would show the smallest difference seen"
    return f"{told}."


def _most_right(best: Row, equal: Sequence[Row]) -> str:
    share = f"{best.top1.value:.1%} top-1 ({100 * best.top1.low:.1f} to {100 * best.top1.high:.1f})"
    also = f"; {_names(equal)} may be as good" if equal else ""
    return f"Most right on them: {shown(best)}, {share}{also}."


def _images(n: int) -> str:
    return f"{n:,} image{'s' if n != 1 else ''}"


def _sentence(first: Row, second: Row, pair: Pair, correction: str, n: int) -> str:
    how = f"{p_text(pair.p_adjusted)}{' after Holm' if correction == 'holm' else ''}"
    gap = points(pair.difference)
    if pair.is_shown:
        return f"{shown(first)} beats {shown(second)} by {gap.removeprefix('+')}, {how}."
    told = f"{shown(first)} against {shown(second)}: {gap}, {how}: no difference shown at this n"
    if pair.difference.low > 0 or pair.difference.high < 0:
        told += f" (by the interval alone there would be one{', not after the correction' if pair.p < 0.05 else ''})"
    if pair.images_needed is None:
        return f"{told}; both are right on as many of these images, so no number of images can be named."
    needed = rounded(max(pair.images_needed, n + 1))
    return f"{told}; about {needed:,} images would be needed to show one of this size."


def _between(first: str, second: str, pairs: Sequence[Pair]) -> Pair:
    for pair in pairs:
        if (pair.first, pair.second) == (first, second):
            return pair
        if (pair.second, pair.first) == (first, second):
            return turned(pair)
    raise KeyError((first, second))


def _price(row: Row) -> tuple[float, float]:
    return (row.cost.train_seconds if row.contract.learns else 0.0) or 0.0, row.cost.artefact_bytes


def _cost_sentence(row: Row, other: Row) -> str:
    """What `row` costs where that differs from `other`, as printed."""
    mine, theirs = row.cost, other.cost
    on_device = mine.device_memory_gib is not None and theirs.device_memory_gib is not None
    memory = [c.device_memory_gib if on_device else c.host_memory_gib for c in (mine, theirs)]
    joules = [sum(c.energy_joules.values()) for c in (mine, theirs)]
    is_alike = mine.energy_joules.keys() == theirs.energy_joules.keys() != set()
    facts = [
        (" of training", duration(mine.train_seconds), duration(theirs.train_seconds)),
        (" of energy", energy(joules[0]), energy(joules[1])) if is_alike else ("", UNKNOWN, UNKNOWN),
        (" of device memory" if on_device else " of memory", *(gib(value) for value in memory)),
        (" on disk", size(mine.artefact_bytes), size(theirs.artefact_bytes)),
    ]
    parts = [f"{a}{what} instead of {b}" for what, a, b in facts if a != b and UNKNOWN not in (a, b)]
    if not parts:
        return f"{shown(row)} costs what {shown(other)} costs."
    return f"{shown(row)} costs {', '.join(parts)} ({shown(other)})."


def _fallen_back(rows: Sequence[Row]) -> list[str]:
    """Rows that are their own start: a tie with it, never a win of the method."""
    fallen = [row for row in rows if row.fell_back]
    if not fallen:
        return []
    told = [
        shown(row) + (f" (seed {', '.join(map(str, row.fell_back))})" if len(row.seeds) > 1 else "") for row in fallen
    ]
    return [f"{_listed(told)}: training did not beat its start on val, so the start was kept: that is a tie with it."]


def _retained(rows: Sequence[Row]) -> list[str]:
    """What is left of the zero-shot skill on the second data set, where one was named: of one base model's."""
    before = next((row for row in rows if not row.contract.learns and row.retention is not None), None)
    if before is None or before.retention is None:
        return []
    base = before.runs[0].weights_digest
    after = [row for row in rows if row.method not in BASELINES and row.runs[0].weights_digest == base]
    if not after:
        return []
    told = [
        f"{shown(row)} {row.retention.value:.1%} ({100 * (row.retention.value - before.retention.value):+.1f} points)"
        for row in after
        if row.retention is not None
    ]
    return [
        f"Retention, zero-shot on the second data set: {before.retention.value:.1%} before, after it {', '.join(told)}."
    ]


def _names(rows: Sequence[Row]) -> str:
    return _listed([shown(row) for row in rows])


def _listed(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def rounded(n: int) -> int:
    """Two significant digits, up: it is an estimate."""
    factor = 10 ** max(0, len(str(n)) - 2)
    return -(-n // factor) * factor
