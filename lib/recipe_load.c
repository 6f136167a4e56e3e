/* Recipes as files of a directory: NAME.conf. */
#define _GNU_SOURCE 1

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/closest.h"
#include "lib/recipe_private.h"

#define SUFFIX ".conf"

/* ---- the names ---- */

/* A malloc'd name; NULL for a file that is no recipe. */
static char *recipe_of_file(const char *file)
{
	size_t n = strlen(file);
	char *name;

	if (n <= strlen(SUFFIX) || strcmp(file + n - strlen(SUFFIX), SUFFIX) != 0 || *file == '.')
		return NULL;
	name = strndup(file, n - strlen(SUFFIX));
	if (!name)
		BUG("out of memory for a recipe's name");
	return name;
}

static int by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static int cannot(struct err *e, const char *path)
{
	enum err_code code = errno == ENOENT ? ERR_NOT_FOUND : errno == EACCES ? ERR_PERMISSION : ERR_SYSTEM;

	return err_set(e, code, "pulls_dir in fanout.conf(5) says where recipes are", "%.200s cannot be read: %s", path,
		       strerror(errno));
}

static char **grow(char **names, size_t *room)
{
	char **more = realloc(names, (*room + 32) * sizeof *names);

	if (!more)
		BUG("out of memory for the recipes' names");
	*room += 32;
	return more;
}

char **recipe_list(const char *dir, struct err *e)
{
	DIR *d = opendir(dir);
	char **names = NULL, *name;
	size_t n = 0, room = 0;
	struct dirent *entry;

	if (!d) {
		cannot(e, dir);
		return NULL;
	}
	names = grow(names, &room);
	while ((entry = readdir(d))) {
		if (!(name = recipe_of_file(entry->d_name)))
			continue;
		if (n + 1 == room)
			names = grow(names, &room);
		names[n++] = name;
	}
	closedir(d);
	qsort(names, n, sizeof *names, by_name);
	names[n] = NULL;
	return names;
}

/* ---- one of them ---- */

static int no_such(const char *dir, const char *name, struct err *e)
{
	char **names = recipe_list(dir, NULL);
	struct closest near = {.word = name};

	for (char **n = names; n && *n; n++)
		if (recipe_name_ok(*n))
			closest_offer(&near, *n);
	if (near.name)
		err_set(e, ERR_NOT_FOUND, NULL, "there is no pull \"%.64s\"; did you mean \"%s\"?", name, near.name);
	else
		err_set(e, ERR_NOT_FOUND, "a pull is a file NAME.conf there", "there is no pull \"%.64s\" in %.200s",
			name, dir);
	for (char **n = names; n && *n; n++)
		free(*n);
	free(names);
	return -1;
}

/* Up to the bound and one byte more; NULL with an error. */
static char *read_whole(int fd, const char *path, size_t *len, struct err *e)
{
	char *text = malloc(RECIPE_TEXT_MAX + 2);
	ssize_t n = 1;

	if (!text)
		BUG("out of memory for a recipe");
	for (*len = 0; *len <= RECIPE_TEXT_MAX && n > 0; *len += n > 0 ? (size_t)n : 0)
		n = TEMP_FAILURE_RETRY(read(fd, text + *len, RECIPE_TEXT_MAX + 1 - *len));
	text[*len] = '\0';
	if (n >= 0)
		return text;
	cannot(e, path);
	free(text);
	return NULL;
}

static char *read_file(const char *path, struct err *e)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	struct stat st;
	char *text = NULL;
	size_t len;

	if (fd < 0 || fstat(fd, &st)) {
		cannot(e, path);
	} else if (!S_ISREG(st.st_mode)) {
		err_set(e, ERR_INPUT, NULL, "%.200s is no regular file", path);
	} else if ((text = read_whole(fd, path, &len, e)) && strlen(text) != len) {
		err_set(e, ERR_INPUT, NULL, "%.200s has a NUL byte in it", path);
		free(text);
		text = NULL;
	}
	if (fd >= 0)
		close(fd);
	return text;
}

/* A file whose name is none is told to who put it there. */
static int no_name(const char *dir, const char *name, struct err *e)
{
	bool there = false;
	char *path;

	if (*name && *name != '.' && !strchr(name, '/')) {
		if (asprintf(&path, "%s/%s" SUFFIX, dir, name) < 0)
			BUG("out of memory for a recipe");
		there = access(path, F_OK) == 0;
		free(path);
	}
	return err_set(e, there ? ERR_INPUT : ERR_NOT_FOUND,
		       there ? "rename the file: a name has letters, digits, \"_\", \"-\" and \".\", 64 at most"
			     : "a name has letters, digits, \"_\", \"-\" and \".\", and no dot first",
		       "\"%.64s\" is no name of a pull", name);
}

struct recipe *recipe_load(const char *dir, const char *name, char **text, struct err *e)
{
	struct recipe *r = NULL;
	char *path, *read;
	struct stat st;

	if (text)
		*text = NULL;
	if (!recipe_name_ok(name)) {
		no_name(dir, name, e);
		return NULL;
	}
	if (asprintf(&path, "%s/%s" SUFFIX, dir, name) < 0)
		BUG("out of memory for a recipe");
	if (access(path, F_OK) && errno == ENOENT) {
		if (lstat(path, &st) == 0)
			err_set(e, ERR_INPUT, "remove it, or put the file there", "%.200s is a link to nothing", path);
		else
			no_such(dir, name, e);
	} else if ((read = read_file(path, e))) {
		r = recipe_parse(name, path, read, e);
		if (text)
			*text = read;
		else
			free(read);
	}
	free(path);
	return r;
}
