/* Only for our own texts, which are ASCII: a byte is a column. */
#include "cli/wrap.h"

#include <string.h>

#define COLUMNS 79

static int new_line(FILE *out, int indent)
{
	fprintf(out, "\n%*s", indent, "");
	return indent;
}

void wrap_print(FILE *out, const char *text, int at, int indent)
{
	int begin = at;

	while (*text) {
		int word = (int)strcspn(text, " \n"), gap = (int)strspn(text, " ");

		if (*text == '\n') {
			begin = at = new_line(out, indent);
			text++;
			continue;
		}
		if (gap)
			word = (int)strcspn(text + gap, " \n");
		if (at + gap + word > COLUMNS && at > begin) {
			begin = at = new_line(out, indent);
			text += gap;
			gap = 0;
		}
		fwrite(text, 1, (size_t)gap + (size_t)word, out);
		at += gap + word;
		text += gap + word;
	}
	fputc('\n', out);
}

void wrap_print_row(FILE *out, const char *head, const char *text, int indent)
{
	int at = fprintf(out, "  %s", head);

	if (at < indent)
		fprintf(out, "%*s", indent - at, "");
	else
		new_line(out, indent);
	wrap_print(out, text, indent, indent);
}
