# shellcheck shell=sh
# Runs in the runner's container: signs in as the GitHub app, registers for one job, does it, ends.
# APP_ID, INSTALLATION_ID, REPOSITORY (owner/name) and LABELS come from the job; APP_KEY from the vault.
set -eu
b64() { openssl base64 -A | tr '+/' '-_' | tr -d '='; }
now=$(date +%s)
head=$(printf '{"alg":"RS256","typ":"JWT"}' | b64)
body=$(printf '{"iat":%d,"exp":%d,"iss":"%s"}' $((now - 60)) $((now + 540)) "$APP_ID" | b64)
key=$(mktemp)
printf '%s' "$APP_KEY" >"$key"
sig=$(printf '%s.%s' "$head" "$body" | openssl dgst -sha256 -sign "$key" | b64)
rm -f "$key"
api() { curl -fsS -X POST -H "Accept: application/vnd.github+json" -H "Authorization: Bearer $1" "https://api.github.com/$2"; }
field() { sed -n 's/.*"token": *"\([^"]*\)".*/\1/p' | head -n 1; }
token=$(api "$head.$body.$sig" "app/installations/$INSTALLATION_ID/access_tokens" | field)
registration=$(api "$token" "repos/$REPOSITORY/actions/runners/registration-token" | field)
unset APP_KEY token
cd /home/runner
./config.sh --unattended --ephemeral --disableupdate --url "https://github.com/$REPOSITORY" --token "$registration" --labels "$LABELS"
exec ./run.sh
