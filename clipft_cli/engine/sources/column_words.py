"""What people call the columns of their tables; blanks, signs, letter case and plurals aside."""

from __future__ import annotations

from ...config.data import SplitName


def plain(name: str) -> str:
    """The letters and digits of a name, in lower case."""
    return "".join(char for char in name.casefold() if char.isalnum())


def is_called(name: str, words: frozenset[str]) -> bool:
    """Whether a column's name is one of `words`, in the plural too."""
    bare = plain(name)
    return any(form in words for form in (bare, bare.removesuffix("s"), bare.removesuffix("es")))


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


IMAGE = _words(
    "image img imagepath imgpath path filepath file filename imagefile imagefilename imagefilepath imagename imgname"
    " imageid imgid imgfile imgfilename fname fpath photo photopath photoname photoid photofile picture picturepath"
    " pictureid picturename pic relativepath relpath fullpath localpath imagelocation imagelink imageuri imgsrc src"
    " bild dateiname fichier archivo imagen"
)
IMAGE_PERHAPS = _words("id name key uri url sample sampleid uuid code title imageurl photourl x data bytes")
"""Taken for images where their cells name some."""

LABEL = _words(
    "label class classname category categoryname labelname labeltext target targetname breed breedname species"
    " speciesname diagnosis dx groundtruth variety clazz klass klasse etiqueta categoria classe"
)
LABEL_PERHAPS = _words(
    "classid labelid categoryid targetid breedid speciesid classindex labelindex classidx labelidx classno"
    " classnumber labelencoded targetencoded labelnum type kind tag y genus family annotation gt finding condition"
    " disease cultivar style genre emotion level grade scientificname commonname outcome result answer choice"
)
"""Taken for the class where no column has one of the names above."""

FOLDER = _words("folder foldername dir directory dirname subfolder subdir imagefolder imagedir folderpath")
"""The folder of the file that the column of images names."""

SPLIT = _words(
    "split subset partition set dataset datasplit setname splitname phase usage traintest traintestsplit trainvaltest"
    " datasettype subsetname splittype mlsplit mluse evaluationset"
)
SPLIT_ONLY = _words("split partition subset datasplit traintest traintestsplit trainvaltest splittype mlsplit mluse")
"""Of these, those that mean nothing else."""

FLAGS: dict[str, tuple[SplitName, SplitName]] = {
    **dict.fromkeys(
        _words(
            "istrain istraining istrainingimage istrainingimg istrainimage istrainimg istrainset intrain train training"
        ),
        ("train", "test"),
    ),
    **dict.fromkeys(_words("istest istesting istestimage istestset intest test testing"), ("test", "train")),
    **dict.fromkeys(_words("isval isvalid isvalidation val valid validation"), ("val", "train")),
}
"""Columns of yes and no: the split that each stands for."""

FOLD = _words("fold foldid kfold cvfold foldnumber foldno foldindex cv crossvalidationfold")
"""Parts of a cross-validation, each of which is the test once."""

GROUP = _words(
    "patient patientid subject subjectid participant participantid person personid individual individualid animal"
    " animalid site siteid video videoid videoname clip clipid session sessionid sequence sequenceid lesion lesionid"
    " study studyid case caseid burst burstid product productid scene sceneid specimen specimenid camera cameraid"
    " hospital location locationid subj subjid pat pid ptid vid seq sess cam slide slideid donor donorid batch batchid"
    " lot lotid plot plotid plant plantid device deviceid scanner scannerid farm farmid user userid owner ownerid"
)
"""Images of one such thing resemble each other."""
