"""A LanceDB folder written by CrewAI's own storage: `lance_folder.py FOLDER NUMBER`, in the crew's interpreter."""

import sys

from crewai.memory.storage.lancedb_storage import LanceDBStorage

from support.memories import record


def main(folder, number):
    made = LanceDBStorage(folder, compact_every=0)
    made.save([record(f"guest {n} likes room {n * 7}", "/crew/concierge", id=f"r{n}") for n in range(int(number))])


if __name__ == "__main__":
    main(*sys.argv[1:])
