# SPDX-License-Identifier: GPL-2.0-or-later
"""What the results are held to: each target with what was measured, and whether it is met."""

RATES = 1000, 10000, 0  # a second; 0: as fast as it goes
MOST_FLOWS = 900000     # fewer show nothing of a million


def targets(m):
    """Rows of target, measured, verdict; m is what `report` has read."""
    for row in cpu(m), loss(m), latency(m), naming(m), wrong(m), growth(m), idle(m), delay(m):
        yield from row


def verdict(met):
    return {True: "met", False: "**missed**", None: "not measured"}[met]


def absent(m, part, readers):
    """Those of them that were not measured, or not each time."""
    ran = {line["reader"] for line in m.parts[part]}
    failed = {line["reader"] for line in m.parts["failed"] if line["of"] == part}
    return [f"{name} ({part})" for name in readers if name not in ran - failed]


def verdict_of_all(m, met, **parts):
    """PART=READERS: met only if none of them is absent."""
    missing = [name for part, readers in parts.items() for name in absent(m, part, readers)]
    return "not measured: " + ", ".join(missing) if met and missing else verdict(met)


def line_us(line):
    return line["cpu_ns"] / line["made"] / 1000 if line.get("made") and "cpu_ns" in line else None


def cpu_us(m, reader, rate):
    return m.median("side", line_us, reader=reader, rate=rate)


def at_rate(rate):
    return f"{rate:,}/s" if rate else "fastest"


def ratios(m, title, reader, other, most):
    for rate in RATES:
        mine, its = cpu_us(m, reader, rate), cpu_us(m, other, rate)
        if mine and its:
            yield (f"{title}, {at_rate(rate)}", f"{mine:.1f} / {its:.1f} µs = {mine / its:.2f}",
                   verdict(mine / its <= most))
        else:
            yield f"{title}, {at_rate(rate)}", "", verdict(None)


def cpu(m):
    yield from ratios(m, "start: at most 1/3 of ulogd2's CPU, NFLOG to JSON", "nfwho-start",
                      "ulogd-packets", 1 / 3)
    yield from ratios(m, "start and end: at most 1/3 of ulogd2's CPU, NFLOG and NFCT to JSON",
                      "nfwho-both", "ulogd-both", 1 / 3)
    yield from ratios(m, "start: within 4 times the reader that discards packets and trace",
                      "nfwho-start", "discard-start", 4)
    yield from ratios(m, "start and end: within 4 times the reader that discards those and conntrack",
                      "nfwho-both", "discard", 4)


def loss(m):
    readers = "nfwho-start", "nfwho-both"
    lines = [line for line in m.parts["side"] if line["rate"] == 0 and line["reader"] in readers]
    lost = sum(line["lost"] for line in lines)
    made = sum(line["made"] for line in lines)
    yield ("no loss at the highest rate this machine makes, in bursts",
           f"{lost:,} of {made:,}" if made else "",
           verdict_of_all(m, lost == 0 if made else None, side=readers))
    yield long_loss(m)
    records = m.median("trace", "lost")
    yield ("no record of the trace lost while the flows of *growth* are made",
           "" if records is None else f"{records:,}",
           verdict(None if records is None else records == 0))


def long_loss(m):
    title = "no loss at the highest rate, start and end, without a pause"
    for line in m.parts["long"]:
        return (title, f"{line['lost']:,} of {line['made']:,} in {line['seconds']} s, "
                f"{line['ends']:,} ends", verdict(line["lost"] == 0))
    return title, "", verdict(None)


def latency(m):
    for reader, what in (("nfwho-start", "start"), ("nfwho-both", "start and end"),
                         ("nfwho-blind", "start, without the trace")):
        for rate in RATES:
            mine, rule = (m.median("side", "connect_median_us", reader=name, rate=rate)
                          for name in (reader, "rule"))
            title = f"{what}: median connect() within 5 % of the rule alone, {at_rate(rate)}"
            if not mine or not rule:
                yield title, "", verdict(None)
            else:
                yield (title, f"{mine:.1f} / {rule:.1f} µs: {100 * (mine / rule - 1):+.1f} %",
                       verdict(mine <= rule * 1.05))


def named_by_trace(m):
    return [line for part in ("side", "long", "naming") for line in m.parts[part]
            if line["reader"] in ("nfwho-start", "nfwho-both")]


def naming(m):
    lines = named_by_trace(m)
    right = sum(line["right"] for line in lines)
    made = sum(line["made"] for line in lines)
    yield ("100 % named rightly with the trace", f"{right:,} of {made:,}" if made else "",
           verdict_of_all(m, right == made if made else None,
                          side=("nfwho-start", "nfwho-both"), naming=("nfwho-start",)))


def wrong(m):
    lines = [line for part in ("side", "long", "naming") for line in m.parts[part]
             if line["reader"].startswith("nfwho")]
    count = sum(line["wrong"] for line in lines)
    yield ("0 named wrongly, with the trace and without", f"{count:,}" if lines else "",
           verdict_of_all(m, count == 0 if lines else None,
                          side=("nfwho-start", "nfwho-both", "nfwho-blind"),
                          naming=("nfwho-start", "nfwho-blind")))


def flat(title, steps):
    """steps: pairs of flows and microseconds, the most flows last."""
    title = f"flat, {title}: with a million flows within 1.25 of the cheapest step"
    if len(steps) < 2:
        return title, "", verdict(None)
    (at, least), (flows, last) = min(steps, key=lambda step: step[1]), steps[-1]
    if flows < MOST_FLOWS:
        return title, "", f"not measured: at most {flows:,}"
    return (title, f"{last:.1f} ({flows:,}) / {least:.1f} µs ({at:,}) = {last / least:.2f}",
            verdict(last <= least * 1.25))


def growth(m):
    yield flat("the program", [
        (flows, us) for (flows,) in m.keys("growth", "flows")
        if flows and (us := m.median("growth", line_us, flows=flows))])
    alone = [line["text"].splitlines() for line in m.parts["tables"]]
    yield flat("the join alone", [
        (int(flows), int(ns) / 1000) for lines in alone
        for flows, ns in zip(lines[0].split()[-3:], lines[-1].split()[-3:])])


def idle(m):
    resident = m.median("idle", "resident_kib")
    yield ("resident memory under 12 MB when idle",
           f"{resident * 1024 / 1e6:.1f} MB" if resident else "",
           verdict(resident * 1024 < 12e6 if resident else None))


def delay(m):
    for events in ("start", "start,end"):
        late = m.median("delay", "p99_ms", rate=1000, events=events)
        yield (f"{events}: the line within 20 ms of connect(), 99th percentile at 1,000/s",
               f"{late:.1f} ms" if late else "", verdict(late < 20 if late else None))
