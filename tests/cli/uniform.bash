# What the programs say of themselves, and what their pages say, for
# uniform.bats and examples.bats: `load uniform` beside `load lib`.  Each
# function prints a sorted list, one a line.

# The programs that people call; forge, a dispatcher, has no verbs of its own.
programs()
{
	local p
	for p in "$BUILD"/bin/forge-*; do
		basename "$p"
	done
}

# page NAME: the file of its manual page
page()
{
	ls "$ROOT/man/$1".[1-8]
}

# help_verbs PROGRAM
help_verbs()
{
	"$1" --help | sed -n '/^Commands:/,/^$/p' |
		sed -nE 's/^  ([a-z]+( [a-z]+)?)  .*/\1/p' | sort
}

# help_options PROGRAM VERB...: the long options
help_options()
{
	"$@" --help | sed -nE 's/^  (-.,|   ) --([a-z-]+).*/--\2/p' | sort
}

# help_shorts PROGRAM VERB...: "-x --long" of those that have both
help_shorts()
{
	"$@" --help | sed -nE 's/^  (-.), --([a-z-]+).*/\1 --\2/p' | sort
}

# program_options PROGRAM: of all its verbs, and those its own help tells of
program_options()
{
	local verb
	{
		"$1" --help | grep -oE -e '--[a-z][a-z-]*'
		help_verbs "$1" | while read -r verb; do
			# shellcheck disable=SC2086 # one or two words
			help_options "$1" $verb
		done
	} | sort -u
}

# section PAGE NAME: the lines of one section
section()
{
	sed -n "/^\.Sh $2\$/,/^\.Sh /p" "$1" | grep -v '^\.Sh '
}

# man_verbs PAGE
man_verbs()
{
	sed -nE 's/^\.It Cm ([a-z]+( [a-z]+)?)( .*)?$/\1/p' "$1" | sort
}

# man_options PAGE: every one that is named anywhere
man_options()
{
	grep -oE 'Fl -[a-z][a-z-]*' "$1" | sed 's/^Fl /-/' | sort -u
}

# man_listed PAGE: those that have an item of their own
man_listed()
{
	grep '^\.It Fl ' "$1" | grep -oE 'Fl -[a-z][a-z-]*' |
		sed 's/^Fl /-/' | sort -u
}

# man_shorts PAGE: "-x --long"
man_shorts()
{
	sed -nE 's/^\.It Fl (.) , Fl -([a-z-]+).*/-\1 --\2/p' "$1" | sort -u
}

# same WHAT EXPECTED ACTUAL: fails with the difference
same()
{
	[ "$2" = "$3" ] || {
		echo "$1 (- expected, + found):"
		diff <(echo "$2") <(echo "$3") | grep '^[<>]' |
			sed 's/^</-/; s/^>/+/'
		return 1
	}
}
