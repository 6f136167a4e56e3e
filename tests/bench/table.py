"""The rows of make bench as a table: text for the terminal, and Markdown for docs/PERFORMANCE.md from a record.

    tests/bench/table.py build/bench.json                          prints the Markdown
    tests/bench/table.py build/bench.json docs/PERFORMANCE.md      puts it between its two marks there
"""

import json
import pathlib
import sys

HEADS = ("what", "fanout", "against", "ratio", "target", "kept")
SIGNS = {">=": "≥", "<=": "≤"}


def number(value, unit=""):
    """Three digits that count; thousands with a narrow space."""
    magnitude = abs(value)
    if magnitude >= 1000:
        text = f"{value:,.0f}".replace(",", " ")
    else:
        text = f"{value:.{0 if magnitude >= 100 else 1 if magnitude >= 10 else 2 if magnitude >= 1 else 3}f}"
    return text + (f" {unit}" if unit and unit != "×" else "") + ("×" if unit == "×" else "")


def spread(figure):
    if len(figure["all"]) < 2:
        return number(figure["median"], figure["unit"])
    return f"{number(figure['median'], figure['unit'])} ({number(figure['min'])} – {number(figure['max'])})"


def cells(row):
    compared, target = row.get("compared"), row.get("target")
    of_ratio = compared and compared["how"] != "more"
    return (
        row["what"],
        spread(row["fanout"]),
        f"{row['peer']['name']}: {spread(row['peer'])}" if "peer" in row else "",
        ("" if of_ratio else "+" if compared["median"] >= 0 else "") + spread(compared) if compared else "",
        f"{SIGNS[target['relation']]} {number(target['bound'], compared['unit'] if compared else row['fanout']['unit'])}" if target else "",
        {True: "yes", False: "**no**"}[row["kept"]] if "kept" in row else "",
    )


def text(rows):
    table = [HEADS, *(cells(r) for r in rows)]
    table = [[c.replace("*", "").upper() if i == 5 and c.startswith("**") else c for i, c in enumerate(line)] for line in table]
    widths = [max(len(line[i]) for line in table) for i in range(len(HEADS))]
    return "\n".join("  ".join(c.ljust(w) for c, w in zip(line, widths)).rstrip() for line in table)


def markdown(rows):
    lines = ["| " + " | ".join(HEADS) + " |", "|" + "---|" * len(HEADS)]
    return "\n".join(lines + ["| " + " | ".join(cells(r)) + " |" for r in rows])


def describe(machine):
    return (
        f"{machine['processors']} × {machine['cpu']}, {machine['memory_gib']} GiB, Linux {machine['kernel']}, {machine['system']}; "
        f"{machine['disk']}; " + "; ".join(machine["versions"].values())
    )


BEGIN, END = "<!-- make bench -->\n", "<!-- end -->"


def main():
    record = json.loads(pathlib.Path(sys.argv[1]).read_text(encoding="utf-8"))
    about = f"{describe(record['machine'])}; {record['rounds']} rounds, {record['seconds']:.0f} s; load average before it {record['load_before']:.2f}."
    made = f"{about}\n\n{markdown(record['rows'])}\n"
    if len(sys.argv) < 3:
        print(made, end="")
        return
    document = pathlib.Path(sys.argv[2])
    before, _, rest = document.read_text(encoding="utf-8").partition(BEGIN)
    _, mark, after = rest.partition(END)
    if not mark:
        sys.exit(f"{document} has no {BEGIN.strip()} with {END} behind it")
    document.write_text(before + BEGIN + made + END + after, encoding="utf-8")


if __name__ == "__main__":
    main()
