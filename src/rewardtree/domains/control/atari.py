"""Atari games by ale-py, as policies see them: grey pictures of 84 by 84, the newest four, with the score painted over.

After Mnih et al. 2015: an action is held for four frames, a picture is the greater of the last two, and a game begins
with up to 30 frames of nothing. After Christiano et al. 2017 (arXiv 1706.03741, appendix A.2): the score is hidden, on
BeamRider also the count of enemy ships, on Enduro the dashboard; and neither a life nor a game that is lost is told, as
the next game begins in the same episode. What a step truly pays is the change of the score.
"""

from collections.abc import Mapping
from functools import partial
from typing import Any

import gymnasium
import numpy as np
from ale_py import ALEInterface, LoggerMode
from jaxtyping import UInt8
from PIL import Image

from rewardtree.domains.control.environments import GAMES
from rewardtree.errors import ConfigError

SIDE, STACKED = 84, 4
"""Of a picture, in pixels; pictures that are seen together."""
HELD, IDLE = 4, 30
"""Frames for which an action is held; frames of nothing, at most, with which a game begins."""
SCORES: Mapping[str, tuple[tuple[int, int, int, int], ...]] = {
    "BeamRider": ((8, 31, 0, 160), (31, 41, 0, 40)),
    "Breakout": ((4, 16, 0, 160),),
    "Enduro": ((160, 192, 40, 120),),
    "Pong": ((0, 22, 0, 160),),
    "Qbert": ((5, 15, 0, 160),),
    "Seaquest": ((8, 18, 0, 160),),
    "SpaceInvaders": ((9, 21, 0, 160),),
}
"""Where the games of the paper show what they count: top, bottom, left and right of boxes on a screen of 210 by 160."""


class Screen(gymnasium.Env[UInt8[np.ndarray, "84 84"], Any]):
    """A game that goes on for ever.

    Args:
        game: an environment of ale-py, made with a frame a step.
        name: of the game, as in `SCORES`.
        show_score: whether the score is left on the screen.

    Raises:
        ConfigError: it is not known where the game shows its score.
    """

    def __init__(self, game: Any, name: str, show_score: bool = False) -> None:
        if not show_score and name not in SCORES:
            raise ConfigError(
                f"it is not known where {name} shows its score, which policies must not see; choose one of "
                f"{', '.join(SCORES)}, or let them see it with env_options: {{show_score: true}}"
            )
        self.metadata = {"render_modes": [], "render_fps": 60 // HELD}
        self.game, self.ale = game, game.ale
        self.hidden = () if show_score else SCORES[name]
        self.action_space = game.action_space
        self.observation_space = gymnasium.spaces.Box(0, 255, (SIDE, SIDE), np.uint8)
        self._choices = self.ale.getMinimalActionSet()
        self._screens = np.zeros((2, 210, 160), dtype=np.uint8)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[UInt8[np.ndarray, "84 84"], dict[str, Any]]:
        """Begin a game."""
        super().reset(seed=seed)
        self.game.reset(seed=seed)
        self._begin()
        return self._seen(), {}

    def step(self, action: Any) -> tuple[UInt8[np.ndarray, "84 84"], float, bool, bool, dict[str, Any]]:
        """Hold an action; a game that ends is followed by the next."""
        paid = 0.0
        for frame in range(HELD):
            paid += self.ale.act(self._choices[int(action)])
            if self.ale.game_over():
                self.ale.reset_game()
                self._begin()
                break
            if frame >= HELD - 2:
                self.ale.getScreenGrayscale(self._screens[frame - HELD + 2])
        return self._seen(), paid, False, False, {}

    def _begin(self) -> None:
        for _ in range(int(self.np_random.integers(IDLE)) + 1):
            self.ale.act(0)
        self.ale.getScreenGrayscale(self._screens[0])
        self._screens[1] = self._screens[0]

    def _seen(self) -> UInt8[np.ndarray, "84 84"]:
        screen = self._screens.max(axis=0)
        for top, bottom, left, right in self.hidden:
            screen[top:bottom, left:right] = 0
        small = Image.fromarray(screen).resize((SIDE, SIDE), Image.Resampling.BOX)
        return np.asarray(small, dtype=np.uint8)


def game_spec(name: str) -> Any:
    """What `gymnasium.make` needs to make an Atari game such as `ALE/Pong-v5` in this form."""
    import ale_py

    ALEInterface.setLoggerMode(LoggerMode.Error)
    gymnasium.register_envs(ale_py)
    gymnasium.spec(name)
    return gymnasium.envs.registration.EnvSpec(id=name, entry_point=partial(_game, name))


def _game(name: str, show_score: bool = False, **options: Any) -> Any:
    game = gymnasium.make(name, frameskip=1, obs_type="grayscale", disable_env_checker=True, **options).unwrapped
    screen = Screen(game, name.removeprefix(GAMES).partition("-v")[0], show_score)
    return gymnasium.wrappers.FrameStackObservation(screen, STACKED)
