/* The migrations of schema/sqlite, embedded by schema/embed.sh in order of their versions, from 1 without a gap. */
#ifndef FANOUT_DAEMON_SCHEMA_H
#define FANOUT_DAEMON_SCHEMA_H

struct schema_migration {
	unsigned version;
	const char *name; /* "001_init" */
	const char *sql;
};

extern const struct schema_migration schema_migrations[];
extern const unsigned schema_migration_count;

#endif
