"""`python -m crewctl`."""

from crewctl.app import main

raise SystemExit(main())
