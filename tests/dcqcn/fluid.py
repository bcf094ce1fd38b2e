# SPDX-License-Identifier: GPL-2.0-or-later
"""The fluid model of DCQCN (Zhu et al., "ECN or Delay: Lessons Learnt from Analysis of DCQCN
and TIMELY", CoNEXT 2016), with the parameters that it is published with: N equal flows, one
queue. Its fixed point is solved from the equations themselves, not from their approximation."""

import math

LINE = 40e9             # bit/s
KMIN, KMAX, PMAX = 5e3, 200e3, 0.01
G = 1 / 256
ADDITIVE = 40e6         # bit/s
TIMER = 55e-6           # T
ALPHA_TIMER = 55e-6     # tau'
CNP_TIMER = 50e-6       # tau
BYTES = 10e6            # B
FAST = 5                # F
STEP = 1e-6


class Model:
    """The right sides of the equations, in packets and seconds."""

    def __init__(self, flows, packet):
        self.flows, self.packet = flows, packet
        self.line = LINE / 8 / packet
        self.additive = ADDITIVE / 8 / packet
        self.bytes = BYTES / packet

    def marking(self, queue, ramp=False):
        """The chance that a packet is marked; queue in packets."""
        octets = queue * self.packet
        if octets <= KMIN:
            return 0.0
        if octets > KMAX and not ramp:
            return 1.0
        return min((octets - KMIN) / (KMAX - KMIN) * PMAX, 1.0)

    def slopes(self, p, rate, alpha, target, current):
        """Of alpha, target and current; p and rate are those of a loop's delay ago."""
        if p < 1e-12:
            events, timer = 1 / self.bytes, 1 / (TIMER * rate)
            rises = events + timer
            return (-G / ALPHA_TIMER * alpha, self.additive * rate * rises,
                    (target - current) / 2 * rate * rises)
        mark = -math.log1p(-min(p, 0.999))

        def each(packets):
            return p / math.expm1(min(mark * packets, 600))

        seen = -math.expm1(-mark * ALPHA_TIMER * rate)
        cut = -math.expm1(-mark * CNP_TIMER * rate)
        events, timer = each(self.bytes), each(TIMER * rate)
        beyond = (math.exp(-mark * FAST * self.bytes) * events +
                  math.exp(-mark * FAST * TIMER * rate) * timer)
        return (G / ALPHA_TIMER * (seen - alpha),
                -(target - current) / CNP_TIMER * cut + self.additive * rate * beyond,
                -current * alpha / (2 * CNP_TIMER) * cut +
                (target - current) / 2 * rate * (events + timer))

    def fixed_point(self):
        """Octets of the queue, where all slopes are zero."""
        rate = self.line / self.flows

        def surplus(p):
            # alpha and the target's distance from the rate follow from the first two equations
            alpha = -math.expm1(math.log1p(-p) * ALPHA_TIMER * rate)
            cut = -math.expm1(math.log1p(-p) * CNP_TIMER * rate)
            grows = self.slopes(p, rate, alpha, rate, rate)[1]
            return self.slopes(p, rate, alpha, rate + grows * CNP_TIMER / cut, rate)[2]

        low, high = 1e-7, 0.5
        for _ in range(200):
            middle = math.sqrt(low * high)
            low, high = (middle, high) if surplus(middle) > 0 else (low, middle)
        return low / PMAX * (KMAX - KMIN) + KMIN

    def integrate(self, loop, seconds, ramp=False):
        """The queue, octets, each STEP, from line rate on; loop: the control loop's delay."""
        delay = int(loop / STEP)
        alpha, target, current, queue = 1.0, self.line, self.line, 0.0
        marks, rates, octets = [], [], []
        for i in range(int(seconds / STEP)):
            marks.append(self.marking(queue, ramp))
            rates.append(current)
            octets.append(queue * self.packet)
            back = i - delay
            slopes = self.slopes(marks[back] if back >= 0 else 0.0,
                                 rates[max(back, 0)], alpha, target, current)
            queue = max(queue + (self.flows * current - self.line) * STEP, 0.0)
            alpha += slopes[0] * STEP
            target = min(target + slopes[1] * STEP, self.line)
            current = min(max(current + slopes[2] * STEP, self.line / 4000), self.line)
        return octets
