"""All measurements, one after the other: `python -m bench [directory]`.

The directory, which should be on the disk that is asked about, is used for temporary files.
"""

from bench import flights, storage

flights.main()
print()
storage.main()
