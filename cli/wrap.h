/* Text for a terminal of eighty columns. */
#ifndef FANOUT_CLI_WRAP_H
#define FANOUT_CLI_WRAP_H

#include <stdio.h>

/* Prints `text` and a newline, broken between words, the cursor being in column `at`, counted from 0; lines that follow
 * begin in column `indent`. A newline in the text begins a line too. */
void wrap_print(FILE *out, const char *text, int at, int indent);
/* A row of a list: `head`, and `text` beside it from column `indent` on; below it where `head` is too long. */
void wrap_print_row(FILE *out, const char *head, const char *text, int indent);

#endif
