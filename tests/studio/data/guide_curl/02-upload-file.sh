curl -X PUT "<uploadUrl>" \
-H "Content-Type: model/gltf-binary" \
--data-binary @/path/to/your/model.glb
