"""Storage: a commit log with streams of Arrow batches and images, on a real or a simulated disk. It knows no SQL."""

from headwater.storage.files import OsStorage, Storage
from headwater.storage.log import Log
from headwater.storage.records import Append, Chunk, Commit, Extent, Image

__all__ = ["Append", "Chunk", "Commit", "Extent", "Image", "Log", "OsStorage", "Storage"]
