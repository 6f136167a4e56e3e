# How long a run took, from `fanoutctl results RUN -f csv --fields submitted_at,ended_at`: seconds from its first page's submission to
# the end of its last one. A run that lasts over midnight is a day further on.
BEGIN { FS = "," }
function second(time,   part) {
	split(substr(time, 12, 15), part, ":")
	return part[1] * 3600 + part[2] * 60 + part[3]
}
NR > 1 {
	submitted = second($1)
	ended = second($2)
	if (NR == 2)
		first = submitted
	if (ended < first)
		ended += 86400
	if (ended > last)
		last = ended
}
END { printf "%.3f\n", last - first }
