"""python -m enrichlabs_client"""

import sys

from enrichlabs_client.command.main import main

sys.exit(main())
