# SPDX-License-Identifier: Apache-2.0
"""The one exception that means: the user can mend this."""


class UserError(ValueError):
    """Something a person gave us is wrong.

    The message is one line and says what is wrong, where, what is legal and what to do. The command
    line prints it and exits with code 2; a traceback is for our own mistakes only.
    """

    def __init__(self, message: str) -> None:
        super().__init__(" ".join(message.split()))
