/* Shared by secrets.c and secrets_hide.c alone. */
#ifndef FANOUT_DAEMON_SECRETS_PRIVATE_H
#define FANOUT_DAEMON_SECRETS_PRIVATE_H

#include <stdbool.h>

#include "daemon/secrets.h"

#define SECRET_FORMS 7 /* the value, and base64 at three shifts in two alphabets */

struct secret_form {
	char *text;
	size_t len;
	bool shares_before, shares_behind; /* the character there has some of its bits too */
};

struct secret {
	char *name;
	char *value;
	size_t len;
	char *path;    /* of its file */
	char *exposed; /* its file, where everybody may read that; NULL */
	char **hosts;  /* globs (lib/hostglob.h) */
	size_t host_count;
	struct secret_form forms[SECRET_FORMS];
	unsigned form_count;
};

struct secrets {
	struct secret *all; /* the longest value first */
	size_t count;
};

/* secrets_hide.c: makes the forms in which a value may come back, and wipes them. */
void secret_forms_make(struct secret *s);
void secret_forms_clear(struct secret *s);

#endif
