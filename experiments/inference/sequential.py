"""Intervals that hold however often one looks: for watching an experiment while it runs."""

import math
from collections.abc import Sequence

from experiments.inference.users import LEVEL, Lift

_ALPHA = 1.0 - LEVEL


def running_intervals(looks: Sequence[Lift]) -> list[Lift]:
    """Always-valid intervals for a lift that is looked at again and again as data come in.

    An interval that is made for one look leaves 0 out sooner or later if one looks every day. These
    leave it out on any day at all with probability 5 % or less, so that one may stop at will. For
    looks with estimates L_d and standard errors s_d,

        L_d +- s_d sqrt((1 + s_d^2 / t^2) (2 log(1 / alpha) + log(1 + t^2 / s_d^2))),

    which inverts the mixture sequential probability ratio test whose effects under the alternative
    are N(0, t^2) (Robbins 1970, "Statistical methods related to the law of the iterated logarithm";
    Johari, Koomen, Pekelis and Walsh 2022, "Always Valid Inference", section 4) and is the asymptotic
    confidence sequence of Waudby-Smith, Arbour, Sinha, Kennedy and Ramdas (2024, "Time-uniform central
    limit theory and asymptotic confidence sequences", theorem 2.2 with s_d = sigma / sqrt(n),
    t = sigma rho). t is set so that the interval is narrowest, relative to s_d, where the experiment
    begins (their tuning of rho for a chosen time, here that of the first look):

        t^2 = s_1^2 (2 log(1 / alpha) + log(1 + 2 log(1 / alpha))),

    about 3.03 s_d at the first look and 3.13 s_d once s_d has halved, where one look alone has 1.96 s_d.

    Users do not arrive one by one here: all are there from the first day, and each adds days. The
    theory then asks that L_d, times 1 / s_d^2, gain independent increments, as it does asymptotically
    for efficient estimates on accumulating data (Scharfstein, Tsiatis and Robins 1997), exactly so if
    a user's days are exchangeable. That days resemble their neighbours is a departure; how much it
    matters is measured (docs/statistics.md).

    The lift so far is an average over the days until then; if the effect itself changes from day to day,
    the interval is for that moving average, which is why intervals of earlier days are not
    intersected.

    Args:
        looks: in time's order, the lift on all data until then with its interval for one look.

    Returns:
        The same lifts with running intervals. p is always valid, too: one over the largest likelihood
        ratio so far, below 0.05 from the first look on whose interval leaves 0 out.
    """
    first = next((look.error for look in looks if look.error), None)
    if first is None:
        return list(looks)
    twice_log = 2.0 * math.log(1.0 / _ALPHA)
    prior = first**2 * (twice_log + math.log1p(twice_log))  # t^2
    running, smallest = [], 1.0
    for look in looks:
        if look.relative is None or not look.error:  # no estimate, or twins who have not yet differed
            running.append(look)
            continue
        variance = look.error**2
        gain = math.log1p(prior / variance)
        reach = math.sqrt((variance + variance**2 / prior) * (twice_log + gain))
        log_ratio = 0.5 * (look.relative**2 / (variance + variance**2 / prior) - gain)  # of the mixture to no effect
        smallest = min(smallest, math.exp(-log_ratio) if log_ratio > 0 else 1.0)
        running.append(Lift(look.relative, look.relative - reach, look.relative + reach, smallest))
    return running
