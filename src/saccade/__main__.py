"""`python -m saccade`, which torchrun needs."""

import os

from saccade.cli import main

if int(os.environ.get("WORLD_SIZE", 1)) == 1:
    main()
else:
    from saccade.device import end

    try:
        main()
    except SystemExit as left:
        end(left.code if isinstance(left.code, int) else 1)
    end(0)
