"""Storage: a commit log with streams of Arrow batches and images, on a real or a simulated disk. It knows no SQL."""

from headwater.storage.common import common_version
from headwater.storage.faults import Fault, FaultyStorage
from headwater.storage.files import File, Lock, OsStorage, Storage
from headwater.storage.groups import GroupOffsets
from headwater.storage.log import Log
from headwater.storage.once import OnceKey
from headwater.storage.pending import Check, Pending
from headwater.storage.producers import Stamp
from headwater.storage.records import Append, Chunk, Commit, Extent, Image
from headwater.storage.simulated import CRASH_MODELS, CrashModel, SimulatedCrash, SimulatedDisk

__all__ = [
    "CRASH_MODELS",
    "Append",
    "Check",
    "Chunk",
    "Commit",
    "CrashModel",
    "Extent",
    "Fault",
    "FaultyStorage",
    "File",
    "GroupOffsets",
    "Image",
    "Lock",
    "Log",
    "OnceKey",
    "OsStorage",
    "Pending",
    "SimulatedCrash",
    "SimulatedDisk",
    "Stamp",
    "Storage",
    "common_version",
]
