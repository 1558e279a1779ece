# shellcheck shell=sh
# Sourced by what talks to Azure: asks Azure, or with dry=1 says what it would ask.
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
# are needed then more than ever. $last stays empty where there is none. It also counts regions.
recall() {
	if [ "${dry:-0}" = 0 ]; then
		command -v az >/dev/null || fail "needs the Azure CLI, signed in"
		last=$(az deployment sub list --query "sort_by([?starts_with(name, '$deployment-') && properties.provisioningState=='Succeeded' && properties.outputs.names != null], &properties.timestamp)[-1].name" --output tsv)
	fi
	regions
}

# regions puts the numbers of the estate's regions into $all. No substitution: a failure ends the script.
regions() {
	all=0
	if [ "${dry:-0}" = 1 ]; then
		if [ "$env" = prod ]; then all='0 1'; fi
		return
	fi
	[ -n "$last" ] || return 0
	n=$(az deployment sub show --name "$last" --query "length(properties.outputs.names.value.regions)" --output tsv)
	if [ "$n" = 2 ]; then all='0 1'; fi
}

# known reads an output of the last deployment.
known() {
	[ "${dry:-0}" = 1 ] || [ -n "$last" ] || fail "nothing is deployed yet: scripts/deploy $env"
	ask "$1" az deployment sub show --name "$last" --query "properties.outputs.$2"
}

# renew [now] signs in again where a sign-in by federation would end. With GitHub's token, which is good for five
# minutes, the CLI gets tokens: the one for management, had at once, holds an hour at least, and a drill may take
# three; one for another audience, as storage's, it can get in those minutes only: who needs it says now. GitHub
# gives a job new tokens as long as it runs; elsewhere the Azure CLI renews by itself. How long ago the job signed
# in is not known here: the first call signs in.
signed=0
renew() {
	[ "${dry:-0}" = 0 ] && [ -n "${ACTIONS_ID_TOKEN_REQUEST_URL:-}" ] || return 0
	[ "${1:-}" = now ] || [ $(($(date +%s) - signed)) -gt 2400 ] || return 0
	federated=$(curl -fsS -H "Authorization: Bearer $ACTIONS_ID_TOKEN_REQUEST_TOKEN" \
		"$ACTIONS_ID_TOKEN_REQUEST_URL&audience=api://AzureADTokenExchange" | sed -n 's/.*"value": *"\([^"]*\)".*/\1/p')
	az login --service-principal --username "$AZURE_CLIENT_ID" --tenant "$AZURE_TENANT_ID" --federated-token "$federated" --output none || return 1
	az account set --subscription "$AZURE_SUBSCRIPTION_ID" || return 1
	signed=$(date +%s)
}

# quarter is this one: its report has its name.
quarter() { printf '%s-Q%d' "$(date -u +%Y)" $((($(date -u +%-m) - 1) / 3 + 1)); }

# app is the name of an app: app ROLE COLOUR [LOCATION of region 0 or 1]
app() {
	region=$(known "region ${3:-0}" "names.value.regions[${3:-0}].location")
	ask "app $1-$2 in region ${3:-0}" az deployment sub show --name "$last" \
		--query "properties.outputs.names.value.apps[?role=='$1' && colour=='$2' && location=='$region'].name | [0]"
}

group() { known "group of region ${1:-0}" "names.value.regions[${1:-0}].group"; }

other() { [ "$1" = blue ] && echo green || echo blue; }

# arm METHOD ID VERSION [BODY]: Azure's management itself, where the CLI has no command without an extension
# that it would first have to fetch: from the network nothing is fetched.
arm() {
	set -- "$1" "/subscriptions/$subscription/resourceGroups/$2?api-version=$3" "${4:-}"
	if [ -n "$3" ]; then
		change az rest --method "$1" --url "$2" --body "$3" --output none
	else
		change az rest --method "$1" --url "$2" --output none
	fi
}

# until_is ASK WANT...: waits until what is asked is one of these, three hours at most, or as long as $patience lasts, which
# it takes from: half minutes, and the time in which Azure answers on top. A dry run does not wait.
# It sleeps beside itself, so that who ends the script is heard at once: a pipeline gives it ten seconds. What it is instead is
# said whenever it has changed.
until_is() {
	[ "${dry:-0}" = 1 ] && return
	query=$1 was=none
	shift
	for _ in $(seq 1 "${patience:-360}"); do
		[ -z "${patience:-}" ] || patience=$((patience - 1))
		is=$(eval "$query") || is=''
		for want in "$@"; do [ "$is" = "$want" ] && return; done
		[ "$is" = "$was" ] || say "$(basename "$0"): waits for $*: ${is:-no answer}"
		was=$is
		sleep 30 &
		wait $!
		renew
	done
	return 1
}

# under_way GROUP...: the deployments that Azure is at in these groups, or idle. One that is cancelled leaves those within
# it to go on, and Azure lets nobody deploy under a name that it is still at: who deploys waits until there are none. Somebody
# else's is waited for too: its name is said, and who cancels it waits no longer.
under_way() {
	names=''
	for g in "$@"; do
		these=$(az deployment group list --resource-group "$g" --query "[?contains(['Accepted', 'Running'], properties.provisioningState)].name" --output tsv) || return 1
		for n in $these; do names="$names${names:+, }$n in $g"; done
	done
	printf '%s\n' "${names:-idle}"
}

# serving puts the colour that serves into $now and its region into $home: workers of one colour run, in one
# region. The one that callers are let in to is asked first, for the other may be lost, or say of workers that they run
# that were lost with it; but until a failover is at its end they run there. Where both colours' run, one was started for its
# package, and is new, or left since. Where none do, $now is none.
serving() {
	home=0
	if [ "${dry:-0}" = 1 ]; then
		now=${POLIS_ACTIVE:-blue}
		return
	fi
	now=none
	[ -n "$last" ] || return 0
	regions=0 open=0
	if [ "$all" != 0 ]; then
		door=$(thrice az rest --method get --url "$(entrance)" --query properties.enabledState --output tsv) || fail "cannot see where callers are let in"
		[ "$door" = Enabled ] || open=1
		regions="$open $((1 - open))"
	fi
	for home in $regions; do
		found='' silent=''
		for colour in blue green; do
			if ! state=$(runs work $colour "$home"); then
				silent=1
			elif [ "$state" = Running ]; then
				found="$found$colour"
			fi
		done
		now=$found
		if [ "$found$silent" != blue ] && [ "$found$silent" != green ]; then
			for colour in blue green; do
				case $(remembered $colour) in new | left) now=${now#"$colour"} now=${now%"$colour"} ;; esac
			done
		fi
		case $now in
		blue | green) return ;;
		bluegreen) fail "workers of both colours run in region $home: stop those that do not serve (az functionapp stop)" ;;
		esac
		[ -z "$found$silent" ] || [ "$home" != "$open" ] || fail "region $home does not say whose workers run"
	done
	now=none home=$open
}

# runs ROLE COLOUR REGION: Running or Stopped. The CLI answers for a Flex app as Azure's management does: what others have on
# top is in properties.
runs() { az functionapp show --name "$(app "$1" "$2" "$3")" --resource-group "$(group "$3")" --query properties.state --output tsv; }

# entrance is Front Door's way to the first region, which is shut while the second serves.
entrance() {
	printf '/subscriptions/%s/resourceGroups/%s/providers/Microsoft.Cdn/profiles/%s/originGroups/gateways/origins/%s?api-version=2026-10-01' "$subscription" \
		"$(known group names.value.group)" "$(known frontdoor names.value.frontdoor)" "$(known "gateway of region 0" "names.value.regions[0].gateway")"
}

# backends puts where a region's pool is into $id, and pooled says which colours get requests there.
backends() {
	gateway=$(known "gateway of region $1" "names.value.regions[$1].gateway")
	id="/subscriptions/$subscription/resourceGroups/$(group "$1")/providers/Microsoft.ApiManagement/service/$gateway/backends"
}
pooled() {
	backends "$1"
	members=$(ask "who gets requests" az rest --method get --url "$id/api?api-version=2024-05-01" --query "properties.pool.services[].id") || return 1
	for member in $members; do printf ' %s' "${member##*/api-}"; done
}

# stop and start ROLE COLOUR REGION. A package that came while the app stood still may have told the platform
# nothing of its triggers: that is made good, and takes as long as the host takes to come up. Where it does not
# come about it is said, and the change-over goes on: half of one is worse.
stop() { change az functionapp stop --name "$(app "$1" "$2" "$3")" --resource-group "$(group "$3")"; }
start() {
	change az functionapp start --name "$(app "$1" "$2" "$3")" --resource-group "$(group "$3")" || return 1
	for _ in 1 2 3 4 5 6 7 8 9 10; do
		arm post "$(group "$3")/providers/Microsoft.Web/sites/$(app "$1" "$2" "$3")/syncfunctiontriggers" 2024-11-01 && return
		sleep 15
	done
	say "$(basename "$0"): the triggers of $1-$2 may not be known to the platform: see that its queues are worked off"
}

# What became of a colour's packages is a tag of the subscription, for templates write all other tags anew:
# new (they have served nobody), served, or left (they were gone back from). A colour without one has no packages.
marks() { printf '/subscriptions/%s/providers/Microsoft.Resources/tags/default?api-version=2024-11-01' "$subscription"; }
mark() { thrice change az rest --method patch --url "$(marks)" --body "{\"operation\":\"Merge\",\"properties\":{\"tags\":{\"polis-$env-$1\":\"$2\"}}}" --output none; }
marked() { ask "what became of $1" az rest --method get --url "$(marks)" --query "properties.tags.\"polis-$env-$1\""; }

# remembered is marked, for that a tag cannot be read does not mean that there is none.
remembered() { thrice marked "$1"; }

# thrice COMMAND...: what may fail in passing.
thrice() {
	for try in 1 2 3; do
		"$@" && return
		[ "$try" = 3 ] || sleep 10
	done
	return 1
}

# publish GROUP APP PACKAGE [still]: what `az functionapp deployment source config-zip` does, without its look at
# the app at the end, for which it lists host keys, that nobody here may, and waits for apps that stand still.
# Kudu's states: 4 is there; 6 is there too, but the platform has not been told of triggers, which is as it
# should be for an app that stands still. One that stands still may be refused a package for that: then this fails; all else
# ends the script.
publish() {
	site=$(ask "deployment site of $2" az functionapp show --name "$2" --resource-group "$1" --query "properties.hostNameSslStates[?hostType=='Repository'].name | [0]")
	if [ "${dry:-0}" = 1 ]; then
		echo "+ curl --data-binary @$3 https://$site/api/publish, and https://$site/api/deployments/latest until it is there${4:+ ($4)}"
		return
	fi
	[ -n "$site" ] || fail "$2 has no deployment site"
	answer=$(mktemp)
	token=$(az account get-access-token --query accessToken --output tsv) || fail "cannot sign in to $2"
	# A role that was given a minute ago may not hold yet: 400 and 403 pass, and so may no answer. What stands still is told at once.
	for try in 1 2 3 4 5 6; do
		code=$(kudu -X POST -H 'Content-Type: application/zip' --data-binary "@$3" "https://$site/api/publish?RemoteBuild=false&Deployer=polis")
		case $code:${4:-} in 202:* | 409:still) break ;; esac
		[ "$try" = 6 ] || sleep 20
	done
	case $code:${4:-} in
	202:*) ;;
	000:* | *:) fail "$2 does not take its package: $code" ;;
	*) return 1 ;;
	esac
	begun=0
	for _ in $(seq 1 450); do
		sleep 2
		code=$(kudu "https://$site/api/deployments/latest")
		# A deployment site goes when its work is done, and its answer with it: the CLI takes that for success too.
		if [ "$code$begun" = 4041 ]; then rm -f "$answer" && return; fi
		[ "$code" = 202 ] && begun=1
		case $code:$(sed -n 's/.*"status": *\(-\{0,1\}[0-9]*\).*/\1/p' "$answer" | head -n 1):${4:-} in
		20[02]:4:*) rm -f "$answer" && return ;;
		20[02]:6:still) say "$(basename "$0"): $2 has its package; its triggers are told when it starts" && rm -f "$answer" && return ;;
		20[02]:3:still) return 1 ;;
		20[02]:-1:* | 20[02]:3:* | 20[02]:5:* | 20[02]:6:*) fail "$2: the package is not there: $(cat "$answer")" ;;
		esac
	done
	fail "$2: the package is not there after a quarter of an hour"
}

# kudu asks an app's deployment site: the status goes out, the answer into $answer. The token comes by
# standard input, where no list of processes shows it.
kudu() {
	printf 'Authorization: Bearer %s' "$token" | curl -sS -o "$answer" -w '%{http_code}' --connect-timeout 10 --max-time 300 --tlsv1.2 -H @- "$@" || : # it says 000 by itself
}
