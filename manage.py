#!/usr/bin/env python
from enrichlabs.command_line import main

if __name__ == "__main__":
    main()
