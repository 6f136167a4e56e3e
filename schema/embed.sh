#!/bin/sh
# Turns schema/sqlite/NNN_what.sql files, given in order, into the C array of daemon/schema.h on stdout.
# Byte arrays instead of string literals: ISO C promises only 4095 characters of those.
set -eu

echo '/* Made by schema/embed.sh from schema/sqlite. Do not edit. */'
echo '#include "daemon/schema.h"'
for file in "$@"; do
	name=$(basename "$file" .sql)
	printf '\nstatic const char sql_%s[] = {\n' "${name%%_*}"
	od -An -v -td1 "$file" | sed -E 's/(-?[0-9]+)/\1,/g'
	echo '0};'
done
printf '\nconst struct schema_migration schema_migrations[] = {\n'
for file in "$@"; do
	name=$(basename "$file" .sql)
	number=${name%%_*}
	# 010 would be octal in C.
	version=$(echo "$number" | sed 's/^0*//')
	printf '\t{.version = %s, .name = "%s", .sql = sql_%s},\n' "$version" "$name" "$number"
done
echo '};'
echo 'const unsigned schema_migration_count = sizeof schema_migrations / sizeof schema_migrations[0];'
