"""PPO of Stable-Baselines3 with its acting and its updates compiled, for small networks on numbers.

On networks of a few thousand weights the library's time goes by between operations, of which an update has some two
hundred; see design/0009 for what this buys. Nothing of the algorithm is other than there: the same loss
(Schulman et al. 2017, arXiv 1707.06347), minibatches in the same order, the same Adam, and the same numbers but for
rounding. What this module doesn't know (images, other activations, early stopping by divergence, clipped values) the
library does itself.
"""

from typing import Any, no_type_check

import numba
import numpy as np
import torch
from jaxtyping import Float, Int
from stable_baselines3 import PPO
from stable_baselines3.common.distributions import CategoricalDistribution, DiagGaussianDistribution
from stable_baselines3.common.policies import ActorCriticPolicy
from torch import Tensor, nn

MATHS = {"reassoc", "contract", "nsz", "arcp"}
LOG_ROOT = 0.5 * float(np.log(2 * np.pi))
FAR = np.float32(7.9)
"""Beyond this, tanh is 1 in single precision."""
Layers = Int[np.ndarray, "layers 4"]
"""Of each layer: columns that it reads, that it makes, where its weights begin among all, and its biases."""
Nets = tuple[Layers, Layers, int]
"""What acts and what values states, and where the logarithms of actions' standard deviations begin among all weights;
-1 where actions are choices."""


class CompiledPolicy(ActorCriticPolicy):
    """The library's policy, its weights one stretch of memory."""

    def _build(self, lr_schedule: Any) -> None:
        super()._build(lr_schedule)
        parameters = list(self.parameters())
        self._flat = torch.cat([one.detach().reshape(-1) for one in parameters])
        begins = np.cumsum([0, *(one.numel() for one in parameters)]).tolist()
        self._begins = {id(one): begin for one, begin in zip(parameters, begins, strict=False)}
        for one, begin in zip(parameters, begins, strict=False):
            one.data = self._flat[begin : begin + one.numel()].view_as(one)
        self.known = self._is_known()
        if self.known:
            actor = self._stack(self.mlp_extractor.policy_net, self.action_net)
            critic = self._stack(self.mlp_extractor.value_net, self.value_net)
            numbers = isinstance(self.action_dist, DiagGaussianDistribution)
            self.nets: Nets = actor, critic, self._begins[id(self.log_std)] if numbers else -1

    def _is_known(self) -> bool:
        optimizer = self.optimizer
        plain = type(optimizer) is torch.optim.Adam and not any(
            group["weight_decay"] or group["amsgrad"] or group["maximize"] for group in optimizer.param_groups
        )
        known = isinstance(self.action_dist, (DiagGaussianDistribution, CategoricalDistribution))
        return (
            plain and known and self.activation_fn is nn.Tanh and self.share_features_extractor and not self.use_sde
            and not self.squash_output and not list(self.features_extractor.parameters())
        )  # fmt: skip

    def _stack(self, hidden: nn.Module, last: nn.Module) -> Layers:
        found = [one for one in (*hidden.modules(), last) if isinstance(one, nn.Linear)]
        return np.array([
            [one.in_features, one.out_features, self._begins[id(one.weight)], self._begins[id(one.bias)]]
            for one in found
        ])  # fmt: skip

    @property
    def weights(self) -> Float[np.ndarray, " weights"]:
        """All of them, in place."""
        return self._flat.numpy()

    def forward(self, obs: Tensor, deterministic: bool = False) -> tuple[Tensor, Tensor, Tensor]:
        """Actions, values of states, and log-probabilities of the actions."""
        if not self.known or deterministic:
            return super().forward(obs, deterministic)
        extractor: Any = self.features_extractor
        seen = extractor.numbers(obs.numpy()) if hasattr(extractor, "numbers") else extractor(obs.float()).numpy()
        actor, _, spread = self.nets
        columns = int(actor[-1, 1])
        chance = torch.rand(len(seen), columns) if spread < 0 else torch.randn(len(seen), columns)
        found = _act(self.weights, self.nets, seen, chance.numpy())
        actions, values, told = (torch.from_numpy(one) for one in found)
        shape = self.action_space.shape
        assert shape is not None
        return actions[:, 0].long() if spread < 0 else actions.reshape(-1, *shape), values, told


class CompiledPPO(PPO):
    """The library's PPO; logs nothing of its updates where they are compiled."""

    policy: CompiledPolicy

    def train(self) -> None:
        """Update the policy by the rollout in the buffer."""
        if (
            not getattr(self.policy, "known", False)
            or self.target_kl is not None
            or self.clip_range_vf is not None
            or not self.normalize_advantage
        ):
            super().train()
            return
        policy, left, clip = self.policy, self._current_progress_remaining, self.clip_range
        assert callable(clip)
        self._update_learning_rate(policy.optimizer)
        (group,) = policy.optimizer.param_groups
        orders = []
        for _ in range(self.n_epochs):
            orders.append(np.random.permutation(self.n_steps * self.n_envs))
        kept = self.rollout_buffer
        observations, *rest = (
            kept.swap_and_flatten(one)
            for one in (kept.observations, kept.actions, kept.log_probs, kept.advantages, kept.returns)
        )
        actions, *told = (one.astype(np.float32, copy=False) for one in rest)
        with torch.no_grad():
            seen = policy.extract_features(torch.from_numpy(observations))
        assert isinstance(seen, Tensor)
        taken, moments = _moments(policy)
        _update(
            policy.weights, moments, taken, policy.nets, np.stack(orders),
            (seen.numpy(), actions, *(one.ravel() for one in told)),
            (self.batch_size, group["lr"], *group["betas"], group["eps"], clip(left), self.ent_coef,
             self.vf_coef, self.max_grad_norm),
        )  # fmt: skip
        _keep(policy, taken + self.n_epochs * -(-orders[0].size // self.batch_size), moments)
        self._n_updates += self.n_epochs


def _moments(policy: CompiledPolicy) -> tuple[int, Float[np.ndarray, "2 weights"]]:
    """Steps that Adam has taken, and its two moments of all weights."""
    state = policy.optimizer.state
    found = np.zeros((2, len(policy.weights)), dtype=np.float32)
    if not state:
        return 0, found
    parts = [state[one] for one in policy.parameters()]
    for row, name in enumerate(("exp_avg", "exp_avg_sq")):
        found[row] = torch.cat([part[name].reshape(-1) for part in parts]).numpy()
    return int(parts[0]["step"]), found


def _keep(policy: CompiledPolicy, taken: int, moments: Float[np.ndarray, "2 weights"]) -> None:
    """Put Adam's state back where the library has it."""
    begin = 0
    for one in policy.parameters():
        first, second = (torch.from_numpy(row[begin : begin + one.numel()].copy()).view_as(one) for row in moments)
        policy.optimizer.state[one] = {"step": torch.tensor(float(taken)), "exp_avg": first, "exp_avg_sq": second}
        begin += one.numel()


@numba.njit(cache=True, fastmath=MATHS)
@no_type_check
def _tanh(x):
    """In single precision, by a quotient of polynomials (as in the library Eigen), which is one operation a lane."""
    x = min(max(x, -FAR), FAR)
    s = x * x
    p = np.float32(-2.76076847742355e-16)
    p = p * s + np.float32(2.00018790482477e-13)
    p = p * s + np.float32(-8.60467152213735e-11)
    p = p * s + np.float32(5.12229709037114e-08)
    p = p * s + np.float32(1.48572235717979e-05)
    p = p * s + np.float32(6.37261928875436e-04)
    p = p * s + np.float32(4.89352455891786e-03)
    q = np.float32(1.19825839466702e-06)
    q = q * s + np.float32(1.18534705686654e-04)
    q = q * s + np.float32(2.26843463243900e-03)
    q = q * s + np.float32(4.89352518554385e-03)
    return x * p / q


@numba.njit(cache=True, fastmath=MATHS)
@no_type_check
def _forward(weights, layers, seen, room):
    """What the last layer of a stack makes; what every layer makes is left in `room`, one after the other."""
    rows, at, last = seen.shape[0], 0, len(layers) - 1
    given = seen
    for number in range(len(layers)):
        columns, made, begin, bias = layers[number]
        matrix = weights[begin : begin + columns * made].reshape(made, columns)
        out = room[at : at + rows * made].reshape(rows, made)
        np.dot(given, matrix.T, out)
        for i in range(rows):
            if number < last:
                for j in range(made):
                    out[i, j] = _tanh(out[i, j] + weights[bias + j])
            else:
                for j in range(made):
                    out[i, j] += weights[bias + j]
        at += rows * made
        given = out
    return given


@numba.njit(cache=True, fastmath=MATHS)
@no_type_check
def _backward(weights, slope, layers, seen, room, wanted):
    """Gradient of a stack's weights, put into `slope`, from that of what its last layer makes."""
    rows, last = seen.shape[0], len(layers) - 1
    at = rows * layers[:, 1].sum()
    for number in range(last, -1, -1):
        columns, made, begin, bias = layers[number]
        at -= rows * made
        given = seen if number == 0 else room[at - rows * columns : at].reshape(rows, columns)
        np.dot(wanted.T, given, slope[begin : begin + columns * made].reshape(made, columns))
        for j in range(made):
            slope[bias + j] = 0.0
        for i in range(rows):
            for j in range(made):
                slope[bias + j] += wanted[i, j]
        if number > 0:
            matrix = weights[begin : begin + columns * made].reshape(made, columns)
            before = np.empty((rows, columns), dtype=np.float32)
            np.dot(wanted, matrix, before)
            for i in range(rows):
                for j in range(columns):
                    before[i, j] *= np.float32(1.0) - given[i, j] * given[i, j]
            wanted = before


@numba.njit(cache=True, fastmath=MATHS)
@no_type_check
def _softened(out):
    """Log-probabilities of choices, in place."""
    for i in range(out.shape[0]):
        most = out[i].max()
        total = np.float32(0.0)
        for j in range(out.shape[1]):
            total += np.exp(out[i, j] - most)
        out[i] -= most + np.log(total)


@numba.njit(cache=True, fastmath=MATHS)
@no_type_check
def _act(weights, nets, seen, chance):
    """Actions, values and log-probabilities; `chance` is normal for numbers, uniform for choices."""
    rows, (actor, critic, spread) = seen.shape[0], nets
    out = _forward(weights, actor, seen, np.empty(rows * actor[:, 1].sum(), dtype=np.float32))
    values = _forward(weights, critic, seen, np.empty(rows * critic[:, 1].sum(), dtype=np.float32)).copy()
    told = np.zeros(rows, dtype=np.float32)
    if spread < 0:
        _softened(out)
        chosen = np.zeros((rows, 1), dtype=np.float32)
        for i in range(rows):
            # The largest of log-probabilities with Gumbel noise is a draw (Gumbel 1954).
            best = -np.inf
            for j in range(out.shape[1]):
                worth = out[i, j] - np.log(-np.log(max(chance[i, j], np.float32(1e-12))))
                if worth > best:
                    best, chosen[i, 0], told[i] = worth, j, out[i, j]
        return chosen, values, told
    for j in range(out.shape[1]):
        log_std = weights[spread + j]
        std = np.exp(log_std)
        for i in range(rows):
            told[i] -= np.float32(0.5) * chance[i, j] * chance[i, j] + log_std + np.float32(LOG_ROOT)
            out[i, j] += std * chance[i, j]
    return out.copy(), values, told


@numba.njit(cache=True, fastmath=MATHS)
@no_type_check
def _slopes(weights, slope, nets, batch, settings, rooms):
    """Gradient of the loss on a minibatch, put into `slope`."""
    seen, actions, before, advantages, returns = batch
    (actor, critic, spread), (clip, entropy, worth) = nets, settings
    rows = seen.shape[0]
    share = np.float32(1.0 / rows)
    out = _forward(weights, actor, seen, rooms[0])
    values = _forward(weights, critic, seen, rooms[1])
    mean, std = advantages.mean(), np.float32(0.0)
    for i in range(rows):
        std += (advantages[i] - mean) ** 2
    std = np.sqrt(std / max(rows - 1, 1)) + np.float32(1e-8)
    wanted, off = np.empty_like(out), np.empty_like(values)
    columns = out.shape[1]
    if spread < 0:
        _softened(out)
    else:
        slope[spread : spread + columns] = -entropy
    for i in range(rows):
        told = np.float32(0.0)
        if spread < 0:
            told = out[i, int(actions[i, 0])]
        else:
            for j in range(columns):
                far = (actions[i, j] - out[i, j]) * np.exp(-weights[spread + j])
                told -= np.float32(0.5) * far * far + weights[spread + j] + np.float32(LOG_ROOT)
        ratio = np.exp(told - before[i])
        gain = (advantages[i] - mean) / std if rows > 1 else advantages[i]
        kept = ratio * gain <= min(max(ratio, 1 - clip), 1 + clip) * gain
        pull = -share * gain * ratio if kept else np.float32(0.0)
        if spread < 0:
            doubt = np.float32(0.0)
            for j in range(columns):
                doubt -= np.exp(out[i, j]) * out[i, j]
            for j in range(columns):
                p = np.exp(out[i, j])
                wanted[i, j] = -pull * p + entropy * share * p * (out[i, j] + doubt)
            wanted[i, int(actions[i, 0])] += pull
        else:
            for j in range(columns):
                inverse = np.exp(-weights[spread + j])
                far = (actions[i, j] - out[i, j]) * inverse
                wanted[i, j] = pull * far * inverse
                slope[spread + j] += pull * (far * far - 1)
        off[i, 0] = 2 * worth * share * (values[i, 0] - returns[i])
    _backward(weights, slope, actor, seen, rooms[0], wanted)
    _backward(weights, slope, critic, seen, rooms[1], off)


@numba.njit(cache=True, fastmath=MATHS)
@no_type_check
def _update(weights, moments, taken, nets, orders, rollout, settings):
    """All epochs of PPO on a rollout, in place: `weights`, and Adam's `moments`, of which `taken` steps were taken.

    `settings` are the size of a minibatch, Adam's rate, both decays and epsilon, the clipped ratio, the weights of
    entropy and values, and the longest gradient.
    """
    seen, actions, before, advantages, returns = rollout
    size, rate, first, second, epsilon, clip, entropy, worth, longest = settings
    slope = np.zeros_like(weights)
    how = (np.float32(clip), np.float32(entropy), np.float32(worth))
    rooms = (
        np.empty(size * nets[0][:, 1].sum(), dtype=np.float32),
        np.empty(size * nets[1][:, 1].sum(), dtype=np.float32),
    )
    for order in orders:
        for start in range(0, len(order), size):
            rows = order[start : start + size]
            batch = (seen[rows], actions[rows], before[rows], advantages[rows], returns[rows])
            _slopes(weights, slope, nets, batch, how, rooms)
            taken += 1
            total = 0.0
            for k in range(len(slope)):
                total += slope[k] * slope[k]
            shrink = np.float32(min(1.0, longest / (np.sqrt(total) + 1e-6)))
            step = np.float32(rate / (1 - first**taken))
            root = np.float32(1 / np.sqrt(1 - second**taken))
            a, b, e = np.float32(first), np.float32(second), np.float32(epsilon)
            one = np.float32(1.0)
            for k in range(len(slope)):
                g = slope[k] * shrink
                moments[0, k] = a * moments[0, k] + (one - a) * g
                moments[1, k] = b * moments[1, k] + (one - b) * g * g
                weights[k] -= step * moments[0, k] / (np.sqrt(moments[1, k]) * root + e)
