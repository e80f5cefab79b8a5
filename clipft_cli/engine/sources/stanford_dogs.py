"""Stanford Dogs as a source: 120 breeds, 20,580 photographs, from the publisher's own archive."""

from __future__ import annotations

from .downloads import Remote
from .folders import list_folder
from .listing import Listing
from .published import called, fetch, given_archive, origin_note, unpack_to
from .source import Source, SourceRequest

# The publisher gives no checksum on its page.
IMAGES = Remote("http://vision.stanford.edu/aditya86/ImageNetDogs/images.tar", "stanford-dogs-images.tar")


def list_stanford_dogs(request: SourceRequest) -> Listing:
    """Class folders such as n02085620-Chihuahua in images.tar. Raises DataError, DownloadError."""
    given = given_archive(request)
    unpacked = unpack_to(request.work / "unpacked", given or fetch(IMAGES, request), request)
    listing = list_folder(unpacked.folder, request)
    listing.name, listing.description = "stanford-dogs", "Stanford Dogs"
    listing.problems = unpacked.problems + listing.problems
    listing.ignored += unpacked.ignored
    listing.notes.append(origin_note(IMAGES, given))
    listing.notes.append("the publisher's train and test lists are a separate download and are not used: split by seed")
    return listing


STANFORD_DOGS = Source("stanford-dogs", "stanford-dogs", called("stanford-dogs"), list_stanford_dogs, has_paths=True)
