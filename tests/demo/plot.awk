# pages.csv (pages,one after another,fanned out, in seconds) as a plot: an SVG with a line for each of the two.
BEGIN {
	FS = ","
	width = 720; height = 440
	left = 64; right = width - 24; top = 64; bottom = height - 56
	name[2] = "one after another"; colour[2] = "#b4502d"
	name[3] = "fanned out"; colour[3] = "#1f6f8b"
}
NR > 1 {
	pages[++n] = $1
	took[2, n] = $2
	took[3, n] = $3
	if ($1 > most) most = $1
	if ($2 > slowest) slowest = $2
	if ($3 > slowest) slowest = $3
}
function x(value) { return sprintf("%.1f", left + value / most * (right - left)) }
function y(value) { return sprintf("%.1f", bottom - value / ceiling * (bottom - top)) }
function text(at_x, at_y, anchor, what, more) {
	printf "<text x=\"%s\" y=\"%s\" text-anchor=\"%s\"%s>%s</text>\n", at_x, at_y, anchor, more, what
}
function line(x1, y1, x2, y2, stroke) {
	printf "<line x1=\"%s\" y1=\"%s\" x2=\"%s\" y2=\"%s\" stroke=\"%s\"/>\n", x1, y1, x2, y2, stroke
}
function axes(   i, step, v) {
	step = slowest > 5 ? 2 : slowest > 2 ? 1 : 0.5
	for (v = 0; v <= ceiling + step / 100; v += step) {
		line(left, y(v), right, y(v), v ? "#ddd" : "#444")
		text(left - 10, y(v) + 4, "end", v)
	}
	for (i = 1; i <= n; i++) {
		line(x(pages[i]), bottom, x(pages[i]), bottom + 5, "#444")
		text(x(pages[i]), bottom + 20, "middle", pages[i])
	}
	text((left + right) / 2, height - 14, "middle", "pages")
	text(14, top - 14, "start", "seconds")
}
function curve(c,   i, points) {
	for (i = 1; i <= n; i++)
		points = points x(pages[i]) "," y(took[c, i]) " "
	printf "<polyline points=\"%s\" fill=\"none\" stroke=\"%s\" stroke-width=\"2.5\"/>\n", points, colour[c]
	for (i = 1; i <= n; i++)
		printf "<circle cx=\"%s\" cy=\"%s\" r=\"4\" fill=\"%s\"><title>%s pages, %s: %s s</title></circle>\n",
			x(pages[i]), y(took[c, i]), colour[c], pages[i], name[c], took[c, i]
	text(right, y(took[c, n]) - 12, "end", sprintf("%s: %.1f s", name[c], took[c, n]), " fill=\"" colour[c] "\" font-weight=\"bold\"")
}
END {
	if (n == 0)
		exit 1
	ceiling = slowest * 1.1
	printf "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%d\" viewBox=\"0 0 %d %d\" ", width, height, width, height
	print "font-family=\"sans-serif\" font-size=\"13\" fill=\"#333\">"
	printf "<title>%s</title>\n<rect width=\"100%%\" height=\"100%%\" fill=\"#fff\"/>\n", title
	text(width / 2, 28, "middle", title, " font-size=\"16\"")
	axes()
	curve(2)
	curve(3)
	print "</svg>"
}
