#!/bin/sh
# Extends the example photo through each provider, with curl. usage: examples/curl.sh [local|clipdrop|openai]
# The picture is written to the folder you are in.
set -eu
here=$(dirname -- "$0")
: "${UNCROP_URL:=http://127.0.0.1:8000}" "${UNCROP_KEY:?set it to an API key}" "${UNCROP_ORGANIZATION:?set it to org_…}"
provider=${1:-local}
case $provider in
    openai) output=raccoon-openai.png
        set -- -F "mask_file=@$here/mask.png" -F "prompt=Continue the scene naturally" ;;
    *) output=raccoon-$provider.jpg
        set -- -F extend_left=256 -F extend_right=256 -F seed=2 ;;
esac
if ! curl --fail-with-body --silent --show-error "$UNCROP_URL/api/v1/images/uncrop" -H "X-API-Key: $UNCROP_KEY" \
    -F "organization_id=$UNCROP_ORGANIZATION" -F "provider=$provider" -F "image_file=@$here/raccoon.jpg" "$@" \
    --output "$output"; then
    # What was refused is said in JSON, which is no picture.
    if [ -f "$output" ]; then cat "$output" >&2; rm -f "$output"; fi
    exit 1
fi
echo "$output"
