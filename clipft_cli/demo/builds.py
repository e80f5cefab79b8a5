"""The shape of each drawn breed, as one table.

Neighbours share most of their numbers on purpose (beagle and basset hound, golden and labrador
retriever, husky and malamute, bernese and border collie, boxer and bullmastiff).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

Ear = Literal["prick", "drop", "fold", "wing"]
Tail = Literal["curl", "sabre", "low", "stub"]


@dataclass(frozen=True)
class Build:
    """Shape of a breed: `torso`, `leg`, `chest`, `waist`, `neck`, `head` in torso lengths of a medium dog.

    Ear and muzzle sizes are in skull radii; `fluff` and `jowl` run from 0 to 1.
    """

    torso: float = 1.0
    leg: float = 0.50
    chest: float = 0.27
    waist: float = 0.21
    neck: float = 0.34
    head: float = 0.235
    muzzle: float = 0.75
    muzzle_width: float = 0.46
    ear: Ear = "drop"
    ear_length: float = 1.0
    ear_width: float = 0.34
    tail: Tail = "sabre"
    tail_length: float = 0.55
    tail_width: float = 0.055
    fluff: float = 0.25
    jowl: float = 0.2


def read_builds(table: str) -> dict[str, Build]:
    """Builds by name; a row is the name, then the fields of `Build` in their order."""
    return {name: Build(*map(_cell, cells)) for name, *cells in map(str.split, table.strip().splitlines())}


def _cell(text: str) -> Any:
    return text if text.isalpha() else float(text)


BUILDS = read_builds("""
alaskan_malamute     .86  .50 .31  .25  .35 .307 .66 .50 prick .58  .34 curl  .70 .105 .62 .20
basset_hound         1.02 .26 .29  .25  .34 .29  .86 .48 drop  1.45 .38 sabre .55 .05  .15 .75
beagle               .82  .42 .26  .21  .34 .267 .72 .44 drop  1.12 .36 sabre .50 .048 .15 .25
bernese_mountain_dog .87  .46 .32  .27  .35 .307 .66 .52 drop  .88  .36 low   .68 .10  .60 .40
border_collie        .84  .50 .26  .21  .36 .261 .84 .40 fold  .62  .30 low   .66 .085 .50 .10
boxer                .82  .54 .28  .20  .38 .284 .46 .56 fold  .62  .30 stub  .16 .05  .06 .60
bullmastiff          .89  .48 .33  .27  .34 .336 .42 .62 fold  .66  .32 sabre .52 .06  .08 .80
golden_retriever     .87  .46 .29  .24  .37 .284 .78 .46 drop  .92  .36 sabre .68 .095 .58 .25
husky                .84  .52 .265 .215 .36 .273 .74 .43 prick .74  .32 curl  .62 .085 .48 .20
labrador_retriever   .86  .47 .285 .245 .36 .284 .72 .49 drop  .78  .34 sabre .62 .066 .12 .30
newfoundland         .89  .44 .34  .29  .33 .331 .56 .56 drop  .78  .36 low   .66 .105 .66 .50
papillon             .76  .40 .22  .19  .32 .267 .62 .36 wing  .78  .42 curl  .62 .09  .56 0
pointer              .87  .58 .26  .18  .40 .261 .92 .42 drop  .82  .32 sabre .56 .042 .05 .30
pomeranian           .62  .30 .31  .28  .25 .302 .42 .36 prick .46  .28 curl  .60 .13  .95 0
pug                  .72  .34 .28  .25  .27 .331 .26 .54 fold  .52  .28 curl  .40 .055 .06 .70
rottweiler           .87  .47 .31  .26  .35 .313 .62 .54 fold  .66  .34 stub  .20 .06  .10 .50
saint_bernard        .91  .47 .34  .28  .34 .342 .56 .60 drop  .82  .36 low   .66 .09  .48 .85
samoyed              .84  .46 .30  .26  .34 .29  .60 .42 prick .58  .32 curl  .68 .12  .85 .10
shiba_inu            .77  .45 .255 .215 .33 .278 .58 .42 prick .56  .32 curl  .50 .075 .35 .10
welsh_corgi          .92  .24 .26  .235 .33 .278 .66 .42 prick .84  .38 stub  .12 .06  .35 .10
""")
