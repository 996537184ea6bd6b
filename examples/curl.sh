#!/bin/sh
# Extends the example photo through each provider, with curl. usage: examples/curl.sh [local|clipdrop|openai]
set -eu
cd "$(dirname -- "$0")"
: "${UNCROP_URL:=http://127.0.0.1:8000}" "${UNCROP_KEY:?set it to an API key}" "${UNCROP_ORGANIZATION:?set it to org_…}"
provider=${1:-local}
set -- --fail-with-body --silent --show-error -X POST "$UNCROP_URL/api/v1/images/uncrop" -H "X-API-Key: $UNCROP_KEY" \
    -F "organization_id=$UNCROP_ORGANIZATION" -F "provider=$provider"
case $provider in
    openai) set -- "$@" -F image_file=@raccoon.jpg -F mask_file=@"${UNCROP_MASK:?a PNG with transparent pixels}" \
        -F "prompt=Continue the scene naturally" -o raccoon-openai.png ;;
    *) set -- "$@" -F image_file=@raccoon.jpg -F extend_left=256 -F extend_right=256 -F seed=42 -o "raccoon-$provider.jpg" ;;
esac
curl "$@"
