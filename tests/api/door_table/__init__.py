"""The door's table: every route and WebSocket, and who gets through it.

One line a route: method, path, who. `who` names roles (and `token:scope` for service tokens), or is
"everybody" (no sign-in) or "signed in"; "" is nobody by a role. `things` marks routes to one
thing: they let in only where the thing lies in an area in which the role is held. A route without
a line here fails `test_one_door`.

`who` is about a camera in a public space. Routes to a camera or a picture say as well who gets
through when it looks at a `shared` space, at one that is open to its residents (`watched`; the same
if left out), or into a `home`. There `household` lives there, `ROLE+share` holds that role and a
live share grant of this camera, `ROLE+alarm` holds it and answers an alarm that has opened this
camera. A route with `purpose` is asked with one, and again without: then nobody but the
household gets a picture.

The lines of each part of the product lie in a module here; `TABLE` is all of them.
"""

from tests.api.door_table.accounts import ACCOUNTS
from tests.api.door_table.cameras import CAMERAS
from tests.api.door_table.duty import DUTY
from tests.api.door_table.homes import HOMES
from tests.api.door_table.incidents import INCIDENTS
from tests.api.door_table.recordings import RECORDINGS
from tests.api.door_table.rows import Row
from tests.api.door_table.telling import TELLING

TABLE: list[Row] = [
    *ACCOUNTS,
    *HOMES,
    *TELLING,
    *CAMERAS,
    *RECORDINGS,
    *DUTY,
    *INCIDENTS,
]

__all__ = ["TABLE", "Row"]
