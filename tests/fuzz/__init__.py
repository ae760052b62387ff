"""Every reader of files is run on mutated files, and may raise nothing but a `SaccadeError`.

    python -m tests.fuzz --minutes 10            # all readers in turn
    python -m tests.fuzz --only yolo voc         # some of them
    python -m tests.fuzz --replay FILE.json      # a case that was saved

A case is a small tree of files: valid ones, made by `seeds`, of which `mutate` changes some. It fails if anything but a
SaccadeError is raised, if the message of one is not a single printable line, if it takes more than 5 s of processor
time or 1 GB of memory, or if the process dies. A failing case is reduced and saved as JSON; `corpus/` holds those that
have been corrected, which `test_corpus.py` runs again.
"""
