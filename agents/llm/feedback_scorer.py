"""Feedback of users on clusters that are new to them, learned from the log; it scores a language model's proposals."""

import math
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file
from scipy.optimize import minimize
from scipy.special import expit

from agents.events import Events
from agents.llm.prompt import cluster_texts
from agents.novelty import novel_rows
from agents.text_encoder import embed_texts, encoder_folder
from agents.transitions import POSITIVE_WEIGHT
from sim.arrays import BoolArray, Columns, FloatArray, IntArray
from sim.errors import InvalidInput
from sim.log import SOURCE_NAMES, InteractionLog
from sim.platform import Platform, Requests
from sim.records import Positive, checks_arguments

HISTORY = 32
"""Consumed items that a user's profile is made of (chosen; as many as the sequence models look at)."""

WIDTH = 16
"""Principal components of the clusters' sentence embeddings (chosen)."""

NUM_KEYWORDS = 5
"""Keywords a cluster that the encoder reads (as many as are best for ``text_neighbour``)."""

INTERCEPT_L2 = 1.0
"""Ridge penalty on intercepts: that of a prior whose standard deviation is 1 logit (chosen)."""

MEMORY = 500_000
"""Latest first contacts that are kept to learn from: 37 MB (chosen)."""

_NUM_SOURCES = len(SOURCE_NAMES)
_CHUNK = 4096  # profiles, or users with their candidates, computed at a time
_MAX_ITERATIONS = 200


@dataclass(frozen=True)
class Contacts(Columns):
    """R impressions of clusters that were new to their users, in order of time.

    Attributes:
        profile: (R, k) float32, the user just before; see ``FeedbackScorer``.
        cluster: (R,) int32.
        source: (R,) int8, see ``sim.log``.
        day: (R,) int32.
        positive: (R,) bool.
    """

    profile: FloatArray
    cluster: IntArray
    source: IntArray
    day: IntArray
    positive: BoolArray

    @staticmethod
    def none(width: int) -> "Contacts":
        """No contacts, with profiles of ``width`` numbers."""
        none = np.empty(0, np.int32)
        return Contacts(np.empty((0, width), np.float32), none, none.astype(np.int8), none, none.astype(bool))


class PenalisedLogistic:
    """The scorer's objective: a bilinear logistic regression with ridge penalties, strictly convex.

    With parameters a (a source), b (a cluster) and W (k, k), a contact's logit is

        f = a_source + b_cluster + u' W z_cluster

    and the loss, with labels y and weights w,

        sum w (log(1 + exp(f)) - y f) + (INTERCEPT_L2 (|a|^2 + |b|^2) + l2 |W|^2) / 2

    Args:
        contacts: R of them.
        weight: (R,) float64, w.
        vector: (M, k) float64, z.
        l2: the penalty on W.
    """

    def __init__(self, contacts: Contacts, weight: FloatArray, vector: FloatArray, l2: float) -> None:
        order = np.argsort(contacts.cluster, kind="stable")
        self._contacts, self._weight = contacts.where(order), weight[order]
        self._profile = self._contacts.profile.astype(np.float64)
        self._vector = vector
        self._seen, self._begin = np.unique(self._contacts.cluster, return_index=True)  # clusters, first rows
        self._penalty = np.concatenate(
            [np.full(_NUM_SOURCES + len(vector), INTERCEPT_L2), np.full(vector.shape[1] ** 2, l2)]
        )
        # Sums over rows are divided by their total weight, so that one tolerance suits all sizes.
        self._total = max(float(weight.sum()), 1.0)

    def loss_and_gradient(self, parameters: FloatArray) -> tuple[float, FloatArray]:
        """The class's loss divided by the sum of weights, and its gradient (d,), at parameters (d,).

        The d = 4 + M + k k parameters are a, b and the rows of W, one after the other.
        """
        rows, num = self._contacts, len(self._vector)
        a, b, w = split_parameters(parameters, num)
        along = self._vector @ w.T  # (M, k) W z
        logit = a[rows.source] + b[rows.cluster] + (self._profile * along[rows.cluster]).sum(axis=1)
        penalised = self._penalty * parameters
        loss = (self._weight * (np.logaddexp(0, logit) - rows.positive * logit)).sum() + penalised @ parameters / 2
        gradient = self._sums(self._weight * (expit(logit) - rows.positive), self._profile, self._vector)
        return float(loss) / self._total, (gradient + penalised) / self._total

    def _sums(self, value: FloatArray, profile: FloatArray, vector: FloatArray) -> FloatArray:
        """(d,) sums over rows of value (R,) times 1 at a and b of the row, and times u z' at W."""
        by_cluster = np.zeros(vector.shape)  # (M, k)
        if len(value):
            by_cluster[self._seen] = np.add.reduceat(value[:, None] * profile, self._begin, axis=0)
        source = np.bincount(self._contacts.source, value, minlength=_NUM_SOURCES)
        cluster = np.bincount(self._contacts.cluster, value, minlength=len(vector))
        return np.concatenate([source, cluster, (by_cluster.T @ vector).ravel()])

    def minimise(self, start: FloatArray) -> FloatArray:
        """(d,) the minimiser, from a start (d,) that saves steps and decides nothing else."""
        # In units of its own curvature (at logit 0, where it is largest) no parameter is steeper than another.
        curvature = self._sums(self._weight / 4, self._profile**2, self._vector**2) + self._penalty
        scale = np.sqrt(self._total / curvature)

        def scaled(x: FloatArray) -> tuple[float, FloatArray]:
            loss, gradient = self.loss_and_gradient(x * scale)
            return loss, gradient * scale

        options = {"maxiter": _MAX_ITERATIONS, "ftol": 1e-12, "gtol": 1e-6}
        return np.asarray(minimize(scaled, start / scale, jac=True, method="L-BFGS-B", options=options).x * scale)


def split_parameters(parameters: FloatArray, num_clusters: int) -> tuple[FloatArray, FloatArray, FloatArray]:
    """a (4,), b (M,) and W (k, k) of parameters (d,)."""
    a, b, w = np.split(parameters, [_NUM_SOURCES, _NUM_SOURCES + num_clusters])
    return a, b, w.reshape(math.isqrt(len(w)), -1)


@checks_arguments
class FeedbackScorer:
    """The probability that a cluster new to a user gets positive feedback, learned from feedback alone.

    A logistic regression on *first contacts*: the logged impressions of clusters that their users had not
    consumed from, whoever chose them; the label is positive feedback. With the candidate l, its vector z_l and
    the user's profile u,

        logit P(positive) = a + b_l + u' W z_l

    z are the clusters' sentence embeddings (``agents.text_encoder``), centred and reduced to ``WIDTH`` principal
    components; u is the mean z of the user's last ``HISTORY`` consumed items, in which positives weigh
    ``POSITIVE_WEIGHT`` and others 1, as where pairs are sampled for the language model. b_l is how well new users
    like l, W which interests lead to which. a differs between production's slots and the agent's: production
    shows what is new to a user only where it expects success, which is no merit of the cluster. Ridge penalties
    keep all of it small where there is little to learn from (``PenalisedLogistic``); an old contact weighs
    2^(-age / half-life).

    Args:
        half_life_days: after how many days a contact counts half.
        l2: penalty on W.

    Raises:
        InvalidInput: an argument makes no sense, or the encoder's weights are missing.
    """

    def __init__(self, half_life_days: Positive, l2: Positive) -> None:
        encoder_folder()  # so that missing weights are reported before a burn-in
        self.half_life_days = half_life_days
        self.l2 = l2

    def fit(self, platform: Platform, log: InteractionLog) -> None:
        """Embed the clusters and learn from the burn-in log."""
        texts = cluster_texts(platform.clusters, NUM_KEYWORDS)
        self.begin(platform, principal_components(embed_texts(texts), WIDTH))
        self.update(log)

    def begin(self, platform: Platform, vector: FloatArray) -> None:
        """Start without contacts, for clusters with vectors (M, k) float64."""
        self.platform = platform
        self._vector = vector
        num, width = vector.shape
        self._parameters: FloatArray = np.zeros(_NUM_SOURCES + num + width * width)
        self._consumed: BoolArray = np.zeros((platform.num_users, num), bool)  # (N, M) by the rows learned from
        self._events = Events.concatenate([])
        self._contacts = Contacts.none(width)

    def update(self, log: InteractionLog) -> None:
        """Add the first contacts among a day's rows and learn anew from all."""
        events, is_new = self._events.followed_by(Events.of(log))
        new = self._first_contacts(log, events, events.pasts(log, is_new))
        self._contacts = Contacts.concatenate([self._contacts, new]).where(slice(-MEMORY, None))
        self._events = events.last(HISTORY)
        self._consumed[log.user[log.consumed], log.cluster[log.consumed]] = True
        age = int(self._contacts.day.max(initial=0)) - self._contacts.day
        weight = 0.5 ** (age / self.half_life_days)
        objective = PenalisedLogistic(self._contacts, weight, self._vector, self.l2)
        self._parameters = objective.minimise(self._parameters)

    def _first_contacts(self, log: InteractionLog, events: Events, end: IntArray) -> Contacts:
        """The latest first contacts among rows (R,), whose pasts end before rows (R,) of the events."""
        rows = np.flatnonzero(novel_rows(log, self._consumed))[-MEMORY:]
        user, end = log.user[rows], end[rows]
        # What stands last is what the pad -1 reads.
        cluster = np.append(self.platform.cluster_of_item[events.item], -1)
        positive = np.append(events.positive, False)
        profile = np.empty((len(rows), self._vector.shape[1]), np.float32)
        for start in range(0, len(rows), _CHUNK):
            part = slice(start, start + _CHUNK)
            past = events.windows(user[part], end[part], HISTORY)  # (r, HISTORY)
            profile[part] = self.profiles(cluster[past], positive[past])
        return Contacts(profile, log.cluster[rows], log.source[rows], log.day[rows], log.positive[rows])

    def profiles(self, cluster: IntArray, positive: BoolArray) -> FloatArray:
        """u of the class for histories (B, H), -1 pads: (B, k) float64, 0 without a history."""
        weight = np.where(cluster >= 0, np.where(positive, POSITIVE_WEIGHT, 1.0), 0.0)  # (B, H)
        total = (weight[:, :, None] * self._vector[cluster]).sum(axis=1)
        return np.asarray(total / np.maximum(weight.sum(axis=1), 1.0)[:, None])

    def scores(self, requests: Requests, candidates: IntArray) -> FloatArray:
        """b_l + u' W z_l of the class for candidates (B, C), -1 pads: (B, C) float64; pads mean nothing.

        A row's values do not depend on the other rows, to the last bit.
        """
        _, b, w = split_parameters(self._parameters, len(self._vector))
        scores = np.empty(candidates.shape)
        for start in range(0, len(requests), _CHUNK):
            part = slice(start, start + _CHUNK)
            u = self.profiles(requests.clusters[part, -HISTORY:], requests.positive[part, -HISTORY:])
            # Not by BLAS, which might round otherwise in another batch.
            along = (u[:, :, None] * w).sum(axis=1)  # (b, k) u' W
            offered = candidates[part]
            scores[part] = b[offered] + (along[:, None] * self._vector[offered]).sum(axis=2)
        return scores

    def save(self, folder: Path) -> None:
        """Write parameters, the contacts that they were learned from, and users' histories."""
        state = {"vector": self._vector, "parameters": self._parameters, "consumed": self._consumed}
        contacts = {f"contacts.{name}": column for name, column in self._contacts.columns().items()}
        save_file(state | contacts, folder / "feedback.safetensors")
        self._events.save(folder / "events.safetensors")

    def load(self, folder: Path, platform: Platform) -> None:
        """Read what ``save`` wrote.

        Raises:
            InvalidInput: not such a file, or one of another platform.
        """
        path = folder / "feedback.safetensors"
        try:
            state = load_file(path)
            self._events = Events.load(folder / "events.safetensors")
            self._contacts = Contacts(**{each.name: state[f"contacts.{each.name}"] for each in fields(Contacts)})
            vector, parameters, consumed = (state[name] for name in ("vector", "parameters", "consumed"))
        except (OSError, SafetensorError, KeyError) as error:
            raise InvalidInput("checkpoint", str(path), f"must be whole, as a scorer saves it ({error})") from None
        shape = (platform.num_users, platform.clusters.num_clusters)
        if consumed.shape != shape:
            raise InvalidInput("checkpoint", str(path), f"must be of {shape[0]} users and {shape[1]} clusters")
        self.platform = platform
        self._vector, self._parameters, self._consumed = vector, parameters, consumed


def principal_components(vectors: FloatArray, width: int) -> FloatArray:
    """Reduce vectors to their principal components, centred, of mean squared length 1.

    Which sign a component has makes no difference to a model whose penalty is the same in all directions.

    Args:
        vectors: (M, d) float.
        width: components, k; fewer where M or d is smaller.

    Returns:
        (M, k) float64.
    """
    centred = vectors.astype(np.float64) - vectors.mean(axis=0, dtype=np.float64)
    left, strength, _ = np.linalg.svd(centred, full_matrices=False)
    reduced = left[:, :width] * strength[:width]
    return np.asarray(reduced / np.sqrt(max(float((reduced**2).sum(axis=1).mean()), 1e-12)))
