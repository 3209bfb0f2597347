"""The inverse normal distribution function for compiled loops, where scipy's cannot be called."""

import math

from sim.hidden.compiled import compiled, compiled_into

# Wichura 1988, "Algorithm AS 241: The percentage points of the normal distribution", routine
# PPND16: numerators and denominators of three rational approximations, lowest order first.
_CENTRE = (
    3.3871328727963666080e0, 1.3314166789178437745e2, 1.9715909503065514427e3, 1.3731693765509461125e4,
    4.5921953931549871457e4, 6.7265770927008700853e4, 3.3430575583588128105e4, 2.5090809287301226727e3,
)  # fmt: skip
_CENTRE_BELOW = (
    1.0, 4.2313330701600911252e1, 6.8718700749205790830e2, 5.3941960214247511077e3,
    2.1213794301586595867e4, 3.9307895800092710610e4, 2.8729085735721942674e4, 5.2264952788528545610e3,
)  # fmt: skip
_NEAR = (
    1.42343711074968357734e0, 4.63033784615654529590e0, 5.76949722146069140550e0, 3.64784832476320460504e0,
    1.27045825245236838258e0, 2.41780725177450611770e-1, 2.27238449892691845833e-2, 7.74545014278341407640e-4,
)  # fmt: skip
_NEAR_BELOW = (
    1.0, 2.05319162663775882187e0, 1.67638483018380384940e0, 6.89767334985100004550e-1,
    1.48103976427480074590e-1, 1.51986665636164571966e-2, 5.47593808499534494600e-4, 1.05075007164441684324e-9,
)  # fmt: skip
_FAR = (
    6.65790464350110377720e0, 5.46378491116411436990e0, 1.78482653991729133580e0, 2.96560571828504891230e-1,
    2.65321895265761230930e-2, 1.24266094738807843860e-3, 2.71155556874348757815e-5, 2.01033439929228813265e-7,
)  # fmt: skip
_FAR_BELOW = (
    1.0, 5.99832206555887937690e-1, 1.36929880922735805310e-1, 1.48753612908506148525e-2,
    7.86869131145613259100e-4, 1.84631831751005468180e-5, 1.42151175831644588870e-7, 2.04426310338993978564e-15,
)  # fmt: skip


@compiled_into
def _ratio(over: tuple[float, ...], under: tuple[float, ...], x: float) -> float:
    """A quotient of two polynomials of order 7, by Horner's rule."""
    a = ((((((over[7] * x + over[6]) * x + over[5]) * x + over[4]) * x + over[3]) * x + over[2]) * x + over[1]) * x
    b = (((((under[7] * x + under[6]) * x + under[5]) * x + under[4]) * x + under[3]) * x + under[2]) * x + under[1]
    return (a + over[0]) / (b * x + under[0])


@compiled
def normal_quantile(p: float) -> float:
    """The standard normal's quantile at ``p`` in (0, 1); relative error about 1e-16."""
    q = p - 0.5
    if abs(q) <= 0.425:
        return float(q * _ratio(_CENTRE, _CENTRE_BELOW, 0.180625 - q * q))
    r = math.sqrt(-math.log(p if q < 0 else 1 - p))
    tail = _ratio(_NEAR, _NEAR_BELOW, r - 1.6) if r <= 5 else _ratio(_FAR, _FAR_BELOW, r - 5.0)
    return float(-tail if q < 0 else tail)
