/* Values from files, and into requests. It must not log, store or show a value, nor know what a recipe is. */
#include "daemon/secrets.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/secrets_private.h"
#include "lib/hostglob.h"
#include "lib/log.h"

#define OPENS "{secret:"

static char *copy(const char *s)
{
	char *c = strdup(s);

	if (!c)
		BUG("out of memory for a secret");
	return c;
}

void secrets_wipe(char *text)
{
	if (text)
		explicit_bzero(text, strlen(text));
	free(text);
}

/* ---- names and hosts ---- */

static bool is_name_char(char c)
{
	return isalnum((unsigned char)c) || c == '_' || c == '-' || c == '.';
}

static int check_name(const char *name, struct err *e)
{
	size_t len = 0;

	while (is_name_char(name[len]))
		len++;
	if (len == 0 || name[len] || len > SECRET_NAME_MAX || *name == '.')
		return err_set(e, ERR_INPUT, "a name is up to 64 letters, digits, _, - and ., and no dot first",
			       "the name of a secret is not a good one");
	return 0;
}

static int take_hosts(struct secret *s, const struct secret_bind *bind, struct err *e)
{
	if (bind->host_count == 0)
		return err_set(e, ERR_INPUT, "write secrets = { NAME = [\"api.example.org\"]; };",
			       "the secret \"%s\" is bound to no host", bind->name);
	s->hosts = calloc(bind->host_count, sizeof(*s->hosts));
	if (!s->hosts)
		BUG("out of memory for %zu hosts", bind->host_count);
	for (; s->host_count < bind->host_count; s->host_count++) {
		if (hostglob_check(bind->hosts[s->host_count], e) < 0)
			return -1;
		s->hosts[s->host_count] = copy(bind->hosts[s->host_count]);
	}
	return 0;
}

/* ---- files ---- */

static int refuse_errno(const char *path, struct err *e)
{
	int why = errno;

	return err_set(e,
		       why == EACCES || why == EPERM     ? ERR_PERMISSION
		       : why == ENOENT || why == ENOTDIR ? ERR_NOT_FOUND
							 : ERR_SYSTEM,
		       NULL, "the secret %s cannot be read: %s", path, strerror(why));
}

/* They are read with every run and every look at a pull: each file is told of once, and again when it was changed. The
 * oldest gives way; it is then told of once more than it had to be. */
static bool is_news(const struct stat *st)
{
	static struct {
		dev_t dev;
		ino_t ino;
		struct timespec changed;
	} told[64];
	static size_t next;

	for (size_t i = 0; i < sizeof told / sizeof *told; i++)
		if (told[i].ino == st->st_ino && told[i].dev == st->st_dev &&
		    told[i].changed.tv_sec == st->st_ctim.tv_sec && told[i].changed.tv_nsec == st->st_ctim.tv_nsec)
			return false;
	told[next].dev = st->st_dev;
	told[next].ino = st->st_ino;
	told[next].changed = st->st_ctim;
	next = (next + 1) % (sizeof told / sizeof *told);
	return true;
}

/* Refuses what is no plain file (a pipe would block), and warns of one that everybody may read. */
static int check_file(struct secret *s, int fd, const char *path, struct err *e)
{
	char quoted[512];
	struct stat st;

	if (fstat(fd, &st) < 0)
		return refuse_errno(path, e);
	if (!S_ISREG(st.st_mode))
		return err_set(e, ERR_INPUT, NULL, "the secret %s is no plain file", path);
	if (st.st_size > (off_t)SECRET_MAX_BYTES)
		return err_set(e, ERR_TOO_LARGE, NULL, "the secret %s is larger than %u bytes", path, SECRET_MAX_BYTES);
	if (st.st_mode & S_IROTH)
		s->exposed = copy(path);
	if (s->exposed && is_news(&st))
		log_warn("secret can be read by everybody", "file=%s do=\"chmod 600\"",
			 log_quote(quoted, sizeof(quoted), path));
	return 0;
}

/* Reads to the end of the file. Returns the length, -1, or one above the limit. */
static ssize_t read_whole(int fd, char *buffer)
{
	size_t len = 0;

	while (len <= SECRET_MAX_BYTES) {
		ssize_t n = read(fd, buffer + len, SECRET_MAX_BYTES + 1 - len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -1 : (ssize_t)len;
		len += (size_t)n;
	}
	return (ssize_t)len;
}

static int take_value(struct secret *s, const char *path, char *buffer, size_t len, struct err *e)
{
	if (len > SECRET_MAX_BYTES)
		return err_set(e, ERR_TOO_LARGE, NULL, "the secret %s is larger than %u bytes", path, SECRET_MAX_BYTES);
	if (memchr(buffer, '\0', len))
		return err_set(e, ERR_INPUT, NULL, "the secret %s has a NUL byte", path);
	if (len > 0 && buffer[len - 1] == '\n')
		len -= len > 1 && buffer[len - 2] == '\r' ? 2 : 1;
	if (len == 0)
		return err_set(e, ERR_INPUT, NULL, "the secret %s is empty", path);
	buffer[len] = '\0';
	s->value = copy(buffer);
	s->path = copy(path);
	s->len = len;
	return 0;
}

/* 0; 1 where there is no such file; -1. */
static int read_file(struct secret *s, const char *dir, struct err *e)
{
	static char buffer[SECRET_MAX_BYTES + 2]; /* wiped after each use */
	char path[4096];
	ssize_t len;
	int fd, rc = -1;

	if (!dir || !*dir || snprintf(path, sizeof(path), "%s/%s", dir, s->name) >= (int)sizeof(path))
		return 1;
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (fd < 0)
		return errno == ENOENT || errno == ENOTDIR ? 1 : refuse_errno(path, e);
	if (check_file(s, fd, path, e) < 0)
		goto out;
	len = read_whole(fd, buffer);
	rc = len < 0 ? refuse_errno(path, e) : take_value(s, path, buffer, (size_t)len, e);
out:
	explicit_bzero(buffer, sizeof(buffer));
	close(fd);
	return rc;
}

static int find_file(struct secret *s, const char *dir, struct err *e)
{
	const char *credentials = getenv("CREDENTIALS_DIRECTORY");
	int rc = read_file(s, dir, e);

	if (rc > 0)
		rc = read_file(s, credentials, e);
	if (rc > 0)
		return err_set(e, ERR_NOT_FOUND, "write its value into that file, readable for the daemon alone",
			       "there is no secret \"%s\": %s/%s%s does not exist", s->name, dir ? dir : "", s->name,
			       credentials ? " (nor one of systemd's credentials)" : "");
	return rc;
}

/* ---- loaded and freed ---- */

static int load_one(struct secret *s, const char *dir, const struct secret_bind *bind, struct err *e)
{
	if (check_name(bind->name, e) < 0)
		return -1;
	s->name = copy(bind->name);
	if (take_hosts(s, bind, e) < 0 || find_file(s, dir, e) < 0)
		return -1;
	secret_forms_make(s);
	return 0;
}

static int compare_longest_first(const void *a, const void *b)
{
	const struct secret *x = a, *y = b;

	return x->len != y->len ? (x->len < y->len) - (x->len > y->len) : strcmp(x->name, y->name);
}

struct secrets *secrets_load(const char *dir, const struct secret_bind *binds, size_t count, struct err *e)
{
	struct secrets *s;

	if (count > SECRETS_MAX) {
		err_set(e, ERR_TOO_LARGE, NULL, "there are more than %d secrets", SECRETS_MAX);
		return NULL;
	}
	s = calloc(1, sizeof(*s));
	if (s)
		s->all = calloc(count ? count : 1, sizeof(*s->all));
	if (!s || !s->all)
		BUG("out of memory for %zu secrets", count);
	for (; s->count < count; s->count++)
		if (load_one(&s->all[s->count], dir, &binds[s->count], e) < 0) {
			s->count++; /* what there is of it is freed too */
			secrets_free(s);
			return NULL;
		}
	qsort(s->all, s->count, sizeof(*s->all), compare_longest_first);
	return s;
}

static void secret_clear(struct secret *s)
{
	secret_forms_clear(s);
	secrets_wipe(s->value);
	for (size_t i = 0; i < s->host_count; i++)
		free(s->hosts[i]);
	free(s->hosts);
	free(s->exposed);
	free(s->path);
	free(s->name);
}

void secrets_free(struct secrets *s)
{
	if (!s)
		return;
	for (size_t i = 0; i < s->count; i++)
		secret_clear(&s->all[i]);
	free(s->all);
	free(s);
}

const char *secrets_exposed(const struct secrets *s)
{
	for (size_t i = 0; i < s->count; i++)
		if (s->all[i].exposed)
			return s->all[i].exposed;
	return NULL;
}

/* ---- filling in ---- */

/* Writers of one byte: return how many bytes that makes, and write them where `to` is not NULL. */
static size_t put_plain(char *to, unsigned char c)
{
	if (to)
		*to = (char)c;
	return 1;
}

static size_t put_url(char *to, unsigned char c)
{
	static const char hex[] = "0123456789ABCDEF";

	if (c < 0x80 && (isalnum(c) || strchr("-._~", c)))
		return put_plain(to, c);
	if (to) {
		to[0] = '%';
		to[1] = hex[c >> 4];
		to[2] = hex[c & 15];
	}
	return 3;
}

static size_t put_json(char *to, unsigned char c)
{
	char escaped[sizeof "\\u0000"];

	if (c == '"' || c == '\\') {
		if (to) {
			to[0] = '\\';
			to[1] = (char)c;
		}
		return 2;
	}
	if (c >= 0x20)
		return put_plain(to, c);
	snprintf(escaped, sizeof(escaped), "\\u%04x", c);
	if (to)
		memcpy(to, escaped, 6);
	return 6;
}

static const struct {
	const char *name;
	size_t (*put)(char *to, unsigned char c);
} places[] = {
    [SECRET_IN_URL] = {"a URL", put_url},
    [SECRET_IN_HEADER] = {"a header", put_plain},
    [SECRET_IN_JSON] = {"JSON", put_json},
    [SECRET_IN_TEXT] = {"a text", put_plain},
};
_Static_assert(sizeof places / sizeof *places == SECRET_WHERES, "every place has a writer");

static const struct secret *find(const struct secrets *s, const char *name, size_t len)
{
	for (size_t i = 0; s && i < s->count; i++)
		if (strlen(s->all[i].name) == len && memcmp(s->all[i].name, name, len) == 0)
			return &s->all[i];
	return NULL;
}

static int check_host(const struct secret *s, const char *host_port, struct err *e)
{
	char hosts[200] = "";
	size_t len = 0;

	for (size_t i = 0; i < s->host_count; i++)
		if (hostglob_match(s->hosts[i], host_port))
			return 0;
	for (size_t i = 0; i < s->host_count && len < sizeof(hosts); i++)
		len += (size_t)snprintf(hosts + len, sizeof(hosts) - len, "%s%s", i ? ", " : "", s->hosts[i]);
	return err_set(e, ERR_PERMISSION, "which hosts a secret may go to is said in the recipe: secrets = { ... };",
		       "the secret \"%s\" may go to %s only, and not to %.100s", s->name, hosts, host_port);
}

static bool has_control(const char *value)
{
	for (; *value; value++)
		if (((unsigned char)*value < ' ' && *value != '\t') || *value == 0x7f)
			return true;
	return false;
}

/* RFC 3629, section 4, but for what follows a first byte's own range. */
static bool is_utf8(const unsigned char *s)
{
	while (*s) {
		unsigned more = *s < 0x80 ? 0 : *s >= 0xc2 && *s < 0xe0 ? 1 : *s >= 0xe0 && *s < 0xf0 ? 2 : 3;

		if (more == 3 && (*s < 0xf0 || *s > 0xf4))
			return false;
		if ((s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xed && s[1] > 0x9f) || (s[0] == 0xf0 && s[1] < 0x90) ||
		    (s[0] == 0xf4 && s[1] > 0x8f))
			return false;
		for (s++; more > 0; more--, s++)
			if ((*s & 0xc0) != 0x80)
				return false;
	}
	return true;
}

static int check_fits(const struct secret *s, enum secret_where where, struct err *e)
{
	if (where == SECRET_IN_HEADER && has_control(s->value))
		return err_set(e, ERR_INPUT, "write its value into that file as one line",
			       "the secret \"%s\" has control bytes and cannot go into a header: %s", s->name, s->path);
	if (where == SECRET_IN_JSON && !is_utf8((const unsigned char *)s->value))
		return err_set(e, ERR_INPUT, NULL, "the secret \"%s\" is not UTF-8 and cannot go into JSON", s->name);
	return 0;
}

int secrets_check(const struct secrets *s, enum secret_where where, struct err *e)
{
	for (size_t i = 0; i < s->count; i++)
		if (check_fits(&s->all[i], where, e) < 0)
			return -1;
	return 0;
}

static size_t put_value(char *to, const char *value, enum secret_where where)
{
	size_t len = 0;

	for (; *value; value++)
		len += places[where].put(to ? to + len : NULL, (unsigned char)*value);
	return len;
}

/* {secret:NAME} at `p`: its name's length; 0 where it is none. */
static size_t name_at(const char *p)
{
	const char *name = p + strlen(OPENS);
	size_t len = 0;

	if (strncmp(p, OPENS, strlen(OPENS)) != 0)
		return 0;
	while (is_name_char(name[len]))
		len++;
	return name[len] == '}' ? len : 0;
}

static const struct secret *look_up(const struct secrets *s, const char *name, size_t len, const char *host_port,
				    struct err *e)
{
	const struct secret *one = find(s, name, len);

	if (!one) {
		err_set(e, ERR_INPUT, "name it in the recipe: secrets = { NAME = [\"api.example.org\"]; };",
			"the secret \"%.*s\" is not one of the recipe's", (int)(len < 100 ? len : 100), name);
		return NULL;
	}
	return check_host(one, host_port, e) < 0 ? NULL : one;
}

/* Once to measure, with `to` NULL, and once to write: no buffer grows, so that no copy of a value is left behind. */
static int fill(const struct secrets *s, const char *text, enum secret_where where, const char *host_port, char *to,
		size_t *out, struct err *e)
{
	size_t at = 0;

	while (*text) {
		size_t len = *text == '{' ? name_at(text) : 0;
		const struct secret *one;

		if (len == 0) {
			at += put_plain(to ? to + at : NULL, (unsigned char)*text++);
			continue;
		}
		one = look_up(s, text + strlen(OPENS), len, host_port, e);
		if (!one || check_fits(one, where, e) < 0)
			return -1;
		at += put_value(to ? to + at : NULL, one->value, where);
		text += strlen(OPENS) + len + 1;
	}
	*out = at;
	return 0;
}

char *secrets_fill(const struct secrets *s, const char *text, enum secret_where where, const char *host_port,
		   struct err *e)
{
	size_t len = 0;
	char *filled;

	if (fill(s, text, where, host_port, NULL, &len, e) < 0)
		return NULL;
	filled = calloc(1, len + 1);
	if (!filled)
		BUG("out of memory for a request of %zu bytes", len);
	fill(s, text, where, host_port, filled, &len, NULL);
	return filled;
}
