/* Suffixes in a table: those that are meant, and those that promise packing that is not there. */
#include "cli/items_place.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "cli/items_name.h"
#include "cli/options.h"
#include "cli/output.h"
#include "cli/pull.h"
#include "cli/receipt.h"
#include "cli/verbs.h"

static const char *const packers[] = {".gz", ".zst"};

static const struct {
	const char *suffix;
	enum format format;
} forms[] = {{".csv", FORMAT_CSV},
	     {".json", FORMAT_JSON},
	     {".ndjson", FORMAT_NDJSON},
	     {".jsonl", FORMAT_NDJSON},
	     {".txt", FORMAT_NDJSON}};
#define FORMS_HINT ".gz and .zst compress; .ndjson, .jsonl, .txt, .json and .csv are forms"

static const char *const absent[] = {".gzip", ".zstd", ".bz2", ".bzip2", ".xz",  ".lzma", ".lz4",
				     ".br",   ".zip",  ".7z",  ".tgz",   ".tar", ".Z"};

#define ERROR_COLUMNS 160 /* with the name of a file it is one line of an error */
#define COUNT(array)  (sizeof(array) / sizeof(array)[0])

/* Whether the first `n` bytes of the name end with it. */
static bool ends_with(const char *name, size_t n, const char *suffix)
{
	size_t m = strlen(suffix);

	return n > m && memcmp(name + n - m, suffix, m) == 0;
}

/* The name's length without the suffix of a packer. */
static size_t unpacked(const char *name)
{
	size_t n = strlen(name);

	for (size_t i = 0; i < COUNT(packers); i++)
		if (ends_with(name, n, packers[i]))
			return n - strlen(packers[i]);
	return n;
}

/* What its suffix says, or FORMATS. */
static enum format form_of(const char *name)
{
	size_t n = unpacked(name);

	for (size_t i = 0; i < COUNT(forms); i++)
		if (ends_with(name, n, forms[i].suffix))
			return forms[i].format;
	return FORMATS;
}

enum format items_format(const struct ctl *ctl)
{
	const char *name = ctl->args.output;
	enum format form = name && !ctl->args.format_name ? form_of(name) : FORMATS;

	if (ctl->args.format_name)
		return ctl->args.format;
	return form == FORMATS ? FORMAT_NDJSON : form;
}

bool items_to_file(const struct ctl *ctl)
{
	return ctl->args.output && strcmp(ctl->args.output, "-") != 0;
}

/* ---- before ---- */

static int check_form(const struct ctl *ctl, struct err *e)
{
	const struct args *a = &ctl->args;

	if (items_format(ctl) == FORMAT_TABLE)
		return err_set(e, ERR_USAGE, NULL, " %s: items are ndjson, csv or json, and no table", ctl->verb->name);
	if (a->raw && (items_format(ctl) != FORMAT_NDJSON || a->fields))
		return err_set(e, ERR_USAGE, "without it, strings have quotes",
			       " %s: -r is for items as lines, not for %s", ctl->verb->name,
			       a->fields ? "--fields" : format_name(items_format(ctl)));
	return 0;
}

/* The suffix by which somebody may have meant a form (".foo"): a date, a number, a field, and a name that begins with a
 * dot are none. "" where there is none. */
static const char *suffix_of(const char *name, size_t n)
{
	const char *end = name + n, *p = end;

	while (p > name && isalnum((unsigned char)p[-1]))
		p--;
	return p < end && isalpha((unsigned char)*p) && p - name >= 2 && p[-1] == '.' && p[-2] != '/' ? p - 1 : end;
}

/* Who says the form otherwise may call the file as he likes; but it is packed, or not, by its name alone. */
static int check_suffix(const struct ctl *ctl, struct err *e)
{
	const char *name = ctl->args.output, *suffix;
	size_t n = unpacked(name);
	struct stat st;

	for (size_t i = 0; i < COUNT(absent); i++)
		if (ends_with(name, n, absent[i]))
			return err_set(e, ERR_USAGE, FORMS_HINT, " %s: -o: %s is no suffix that is known here",
				       ctl->verb->name, absent[i]);
	suffix = suffix_of(name, n);
	if (ctl->args.format_name || ctl->args.raw || suffix == name + n || form_of(name) != FORMATS ||
	    (stat(name, &st) == 0 && !S_ISREG(st.st_mode))) /* a pipe: nobody looks at its name */
		return 0;
	return err_set(e, ERR_USAGE, FORMS_HINT "; with -f any name will do",
		       " %s: -o: %.*s is no suffix that is known here", ctl->verb->name, (int)(name + n - suffix),
		       suffix);
}

static int check_directory(const struct ctl *ctl, struct err *e)
{
	const char *name = ctl->args.output;
	size_t n = strlen(name);
	struct stat st;

	if (!n)
		return err_set(e, ERR_USAGE, NULL, " %s: -o: the name is empty", ctl->verb->name);
	if (name[n - 1] != '/' && (stat(name, &st) < 0 || !S_ISDIR(st.st_mode)))
		return 0;
	return err_set(e, ERR_USAGE, "name a file in it, as in {name}-{date}.ndjson", " %s: -o: %.200s is a directory",
		       ctl->verb->name, name);
}

int items_check_output(const struct ctl *ctl, struct err *e)
{
	const struct args *a = &ctl->args;

	if (check_form(ctl, e) < 0)
		return -1;
	if (!items_to_file(ctl))
		return a->create_dirs || (a->allow_empty && !a->output)
			   ? err_set(e, ERR_USAGE, NULL, " %s: --%s is for -o FILE", ctl->verb->name,
				     a->create_dirs ? "create-dirs" : "allow-empty")
			   : 0;
	if (items_name_check(a->output, e) < 0 || check_suffix(ctl, e) < 0 || check_directory(ctl, e) < 0)
		return -1;
	if (a->format_name && form_of(a->output) != FORMATS && form_of(a->output) != a->format)
		ctl_note(ctl, "%s: written as %s, which -f says", a->output, format_name(a->format));
	return output_check_place(a->output, a->create_dirs, e);
}

/* ---- where nothing was written ---- */

/* -o and what says how the items are written. */
static void add_form(const struct args *a, struct text *out)
{
	text_add_option(out, "-o", a->output);
	if (a->format_name)
		text_printf(out, " -f %s", a->format_name);
	text_add_str(out, a->unique ? " --unique" : "");
	text_add_str(out, a->allow_empty ? " --allow-empty" : "");
	text_add_str(out, a->raw ? " -r" : "");
	text_add_option(out, "--fields", a->fields);
	text_add_option(out, "--jq", a->jq);
}

/* A retry is refused: there has to be a run of its own. */
static void add_anew(const struct ctl *ctl, const json_t *ended, struct text *out)
{
	const struct args *a = &ctl->args;

	text_printf(out, "fanoutctl pull run %s", pull_text(ended, "pull"));
	for (size_t i = 0; i < a->vars.count; i++)
		text_add_option(out, "--var", a->vars.values[i].text);
	add_form(a, out);
	text_add_str(out, ", with the recipe corrected where that is why");
}

void items_add_error(const json_t *ended, struct text *out)
{
	const char *error = pull_text(ended, "error");
	struct text said = {0};

	if (!*error)
		return;
	text_add(&said, error, strlen(error) > ERROR_COLUMNS ? receipt_error_len(error) : strlen(error));
	text_add_str(out, ": ");
	text_add_shown(out, said.data, ERROR_COLUMNS);
	text_clear(&said);
}

void items_add_later(const struct ctl *ctl, uint32_t run, const json_t *ended, struct text *out)
{
	if (ended && !receipt_can_retry(ended)) {
		add_anew(ctl, ended, out);
		return;
	}
	if (ended)
		text_printf(out, "fanoutctl retry %u; ", run);
	text_printf(out, "fanoutctl wait %u; fanoutctl items %u", run, run);
	add_form(&ctl->args, out);
}

void items_tell_kept(const struct ctl *ctl, uint32_t run, const json_t *ended)
{
	struct text hint = {0};
	struct err e;

	text_printf(&hint, "does its recipe still name them (fanoutctl pull test %s --live)? to replace the file: ",
		    pull_text(ended, "pull"));
	text_printf(&hint, "fanoutctl items %u --allow-empty -o FILE", run);
	err_set(&e, ERR_CONFLICT, hint.data, "run %u has no items, though the API does not say so: %.200s was kept",
		run, ctl->args.output);
	ctl_report(&e);
	text_clear(&hint);
}

void items_tell_unwritten(const struct ctl *ctl, uint32_t run, const json_t *ended)
{
	struct text later = {0};

	if (!items_to_file(ctl))
		return;
	items_add_later(ctl, run, ended, &later);
	fflush(stdout);
	fprintf(stderr, "  %s was not written; to have it: %s\n", ctl->args.output, later.data);
	text_clear(&later);
}
