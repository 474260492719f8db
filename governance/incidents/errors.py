"""Why a step of an incident is refused, in words for a person and codes for a program."""

from core.errors import ConflictError, InvalidInputError


class VersionConflictError(ConflictError):
    """Somebody else has changed the incident since the caller looked (409)."""

    code = "version-conflict"


class AlreadyAcknowledgedError(ConflictError):
    """Somebody else has acknowledged it (409)."""

    code = "already-acknowledged"


class ReturnedTooOftenError(ConflictError):
    """It has been sent back twice; the level above decides now (409)."""

    code = "returned-too-often"


class SamePersonError(ConflictError):
    """Who handled it may not check it (409)."""

    code = "same-person"


class VerifyNeededError(ConflictError):
    """Its policy asks for a check by somebody else, so it cannot simply be closed (409)."""

    code = "verify-needed"


class PhotosNeededError(ConflictError):
    """Its policy asks for pictures of the result, and some are missing (409)."""

    code = "photos-needed"


class TooManyPhotosError(ConflictError):
    """It has as many pictures of the result as are kept (409)."""

    code = "too-many-photos"


class TooLateError(ConflictError):
    """It was closed too long ago to be reopened (409)."""

    code = "reopen-too-late"


class NewerIncidentError(ConflictError):
    """Another open incident is about the same thing (409)."""

    code = "newer-incident"


class CannotMergeError(ConflictError):
    """These two are not to become one; the code says why (409)."""

    code = "cannot-merge"


class AlarmNotRejectedError(ConflictError):
    """A household pressed it: it is closed by somebody who has looked, never rejected (409)."""

    code = "alarm-not-rejected"


class SuspendLimitError(InvalidInputError):
    """`until` is not ahead, or further ahead than the policy allows (422)."""

    code = "suspend-limit"
