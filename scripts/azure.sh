# shellcheck shell=sh
# Sourced by deploy, switch and drill: asks Azure, or with dry=1 says what it would ask.
# Nothing here signs anybody in: `az login`, or a pipeline's federated identity, comes first.

say() { printf '%s\n' "$*" >&2; }

fail() {
	say "$(basename "$0"): $*"
	exit 1
}

# change runs a command that changes something.
change() {
	if [ "${dry:-0}" = 1 ]; then
		printf '+'
		for word in "$@"; do printf ' %s' "$word"; done
		printf '\n'
		return
	fi
	"$@"
}

# ask reads one value; in a dry run the name of what would be read stands for it.
ask() {
	what=$1
	shift
	if [ "${dry:-0}" = 1 ]; then
		printf '<%s>\n' "$what"
		return
	fi
	"$@" --output tsv
}

environment() {
	case "${1:-}" in
	dev | staging | prod) env=$1 ;;
	*) fail "which environment? dev, staging or prod" ;;
	esac
	deployment=polis-$env
}

# known reads an output of the last deployment.
known() { ask "$1" az deployment sub show --name "$deployment" --query "properties.outputs.$2"; }

# app is the name of an app: app ROLE COLOUR [LOCATION of region 0 or 1]
app() {
	region=$(known "region ${3:-0}" "names.value.regions[${3:-0}].location")
	ask "app $1-$2 in region ${3:-0}" az deployment sub show --name "$deployment" \
		--query "properties.outputs.names.value.apps[?role=='$1' && colour=='$2' && location=='$region'].name | [0]"
}

group() { known "group of region ${1:-0}" "names.value.regions[${1:-0}].group"; }

regions() {
	if [ "${dry:-0}" = 1 ]; then
		[ "$env" = prod ] && echo "0 1" || echo 0
		return
	fi
	n=$(az deployment sub show --name "$deployment" --query "length(properties.outputs.names.value.regions)" --output tsv)
	[ "$n" = 2 ] && echo "0 1" || echo 0
}

other() { [ "$1" = blue ] && echo green || echo blue; }
