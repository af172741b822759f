# SPDX-License-Identifier: Apache-2.0
"""The two exceptions that the command line reports in one line; any other is a defect of ours."""


class _OneLine(Exception):
    def __init__(self, message: str) -> None:
        super().__init__(" ".join(message.split()))


class UserError(_OneLine, ValueError):
    """Something a person gave us is wrong. Exit code 2.

    The message is one line and says what is wrong, where, what is legal and what to do.
    """


class CheckError(_OneLine):
    """What should have been equal is not, or a test failed. Exit code 1; the message has the first place."""
