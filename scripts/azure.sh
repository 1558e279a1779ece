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
	last=''
}

# recall finds the last deployment that succeeded: one that failed after it has no outputs, and names
# are needed then more than ever. $last stays empty where there is none.
recall() {
	[ "${dry:-0}" = 1 ] && return
	last=$(az deployment sub list --query "sort_by([?starts_with(name, '$deployment-') && properties.provisioningState=='Succeeded' && properties.outputs.names != null], &properties.timestamp)[-1].name" --output tsv)
}

# known reads an output of the last deployment.
known() {
	[ "${dry:-0}" = 1 ] || [ -n "$last" ] || fail "nothing is deployed yet: scripts/deploy $env"
	ask "$1" az deployment sub show --name "$last" --query "properties.outputs.$2"
}

# renew signs in again where a sign-in by federation would end: it is good for an hour, a drill may take
# three. GitHub gives a job new tokens as long as it runs; elsewhere the Azure CLI renews by itself.
signed=$(date +%s)
renew() {
	[ "${dry:-0}" = 0 ] && [ -n "${ACTIONS_ID_TOKEN_REQUEST_URL:-}" ] || return 0
	[ $(($(date +%s) - signed)) -gt 2400 ] || return 0
	federated=$(curl -fsS -H "Authorization: Bearer $ACTIONS_ID_TOKEN_REQUEST_TOKEN" \
		"$ACTIONS_ID_TOKEN_REQUEST_URL&audience=api://AzureADTokenExchange" | sed -n 's/.*"value": *"\([^"]*\)".*/\1/p')
	az login --service-principal --username "$AZURE_CLIENT_ID" --tenant "$AZURE_TENANT_ID" --federated-token "$federated" --output none
	az account set --subscription "$AZURE_SUBSCRIPTION_ID"
	signed=$(date +%s)
}

# app is the name of an app: app ROLE COLOUR [LOCATION of region 0 or 1]
app() {
	region=$(known "region ${3:-0}" "names.value.regions[${3:-0}].location")
	ask "app $1-$2 in region ${3:-0}" az deployment sub show --name "$last" \
		--query "properties.outputs.names.value.apps[?role=='$1' && colour=='$2' && location=='$region'].name | [0]"
}

group() { known "group of region ${1:-0}" "names.value.regions[${1:-0}].group"; }

regions() {
	if [ "${dry:-0}" = 1 ]; then
		[ "$env" = prod ] && echo "0 1" || echo 0
		return
	fi
	[ -n "$last" ] || fail "nothing is deployed yet: scripts/deploy $env"
	n=$(az deployment sub show --name "$last" --query "length(properties.outputs.names.value.regions)" --output tsv)
	[ "$n" = 2 ] && echo "0 1" || echo 0
}

other() { [ "$1" = blue ] && echo green || echo blue; }
